import abc

import equinox as eqx

from .._manifold import AbstractManifold
from .._typing import Point, Tangent


class AbstractRetraction(eqx.Module):
    r"""A map $R_x(v)$ from tangent vectors to points that starts as the exponential map
    does."""

    @property
    @abc.abstractmethod
    def order(self) -> int | None:
        r"""The $k$ for which $d(R_x(v), \exp_x(v)) = O(|v|^{k+1})$; None where the two
        are equal. A random walk needs 2 to converge to its diffusion."""

    @abc.abstractmethod
    def __call__(self, manifold: AbstractManifold, x: Point, v: Tangent) -> Point:
        """The point at the end of the step `v` from `x`."""
