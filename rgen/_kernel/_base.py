import abc

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent


class AbstractKernel(eqx.Module):
    r"""The transition kernel $p_v(x \mid x_0)$ of a diffusion of unit speed, or an
    approximation to it. That of Brownian motion is the heat kernel, the solution of
    $\partial_v p = \tfrac12 \Delta p$ that starts at $\delta_{x_0}$.

    `v > 0` is the accumulated variance, $\int_0^t \beta(s)\,\mathrm ds$ for a process
    with schedule $\beta$. Densities are with respect to the Riemannian volume, in nats.

    A kernel of your own defines the three methods. One that cannot evaluate its density
    or its score raises a `NotImplementedError` there, as
    [`rgen.RandomWalkKernel`][] does.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold of the diffusion."""

    def __check_init__(self):
        kind = type(self).__annotations__.get("manifold", AbstractManifold)
        if not isinstance(self.manifold, kind):
            raise ValueError(
                f"{type(self).__name__}: expected `manifold` to be an "
                f"rgen.{kind.__name__}, got {self.manifold!r}. The heat kernel of any "
                "manifold is rgen.heat_kernel(manifold)."
            )

    @abc.abstractmethod
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        r"""$\log p_v(x \mid x_0)$."""

    @abc.abstractmethod
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        r"""$\nabla_x \log p_v(x \mid x_0)$, a tangent vector at `x`. For a heat kernel
        zero where `x = x0`, and on the cut locus by symmetry."""

    @abc.abstractmethod
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        r"""A sample of $p_v(\cdot \mid x_0)$."""


def positive_variance(where: str, v: Scalar) -> Scalar:
    """`v` where it is positive and NaN elsewhere. A `ValueError` if `v` is not traced,
    so that its value can be looked at."""
    # float: under jit, a comparison of a constant would be traced.
    if not isinstance(v, Tracer) and float(v) <= 0:
        raise ValueError(
            f"{where}: expected the accumulated variance `v` to be positive, got {v}. "
            "Start at the smallest noise level that you want to resolve."
        )
    return jnp.where(v > 0, v, jnp.nan)
