import abc
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent


class AbstractHeatKernel(eqx.Module):
    r"""The transition law $p_v(x \mid x_0)$ of Brownian motion on a manifold, the
    solution of $\partial_v p = \tfrac12 \Delta p$ that starts at $\delta_{x_0}$, or an
    approximation to it.

    `v > 0` is the accumulated variance, $\int_0^s \beta(r)\,\mathrm dr$ for a process
    with schedule $\beta$. Densities are with respect to the Riemannian volume, in nats.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold of the Brownian motion."""

    @abc.abstractmethod
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        r"""$\log p_v(x \mid x_0)$."""

    @abc.abstractmethod
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        r"""$\nabla_x \log p_v(x \mid x_0)$, a tangent vector at `x`. Zero where
        `x = x0`, and on the cut locus by symmetry."""

    @abc.abstractmethod
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        r"""A draw from $p_v(\cdot \mid x_0)$."""


def positive_variance(where: str, v: Scalar) -> Scalar:
    """`v` where it is positive and NaN elsewhere. A `ValueError` if `v` is not traced,
    so that its value can be looked at."""
    # float: under jit, a comparison of a constant would be traced.
    if not isinstance(v, Tracer) and float(v) <= 0:
        raise ValueError(
            f"{where}: expected `v` to be positive, got {v}. It is the accumulated "
            "variance; start at the smallest one that the data should be blurred by."
        )
    return jnp.where(v > 0, v, jnp.nan)


@singledispatch
def heat_kernel(manifold: Any) -> AbstractHeatKernel:
    """The exact heat kernel of a manifold, chosen by the manifold's type.

    Raises a `NotImplementedError` where none is known. Make one known with
    `heat_kernel.register(MyManifold)`.
    """
    raise NotImplementedError(
        f"no exact heat kernel is known for {manifold}. Use the approximation "
        "rgen.VaradhanHeatKernel(manifold), or a loss that needs none: "
        "rgen.losses.implicit, rgen.losses.sliced or rgen.losses.denoising_step."
    )
