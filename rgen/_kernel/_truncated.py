from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold, SpecialOrthogonal, Sphere, Torus
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractHeatKernel, heat_kernel, positive_variance
from ._series import circle_series, rotation_series, sphere_series, sphere_series_slope
from ._special_orthogonal import rotation_polar
from ._sphere import polar
from ._torus import difference


class TruncatedHeatKernel(AbstractHeatKernel):
    r"""The Sturm–Liouville series of the heat kernel in eigenfunctions of the
    Laplacian, cut after `terms` terms (De Bortoli et al. 2022, Table 2): on $S^d$ the
    degrees $l \le J$, on $SO(3)$ the representations $l \le J$, and on $T^d$ the modes
    $|n| \le J$ of each angle.

    Good once $J^2 v \gg 1$. At smaller times the terms cancel: the sum takes negative
    values, where `log_prob` is NaN, and the score is wrong even in its sign. Draws are
    from the exact kernel.

    Raises a `NotImplementedError` for other manifolds.

    **Arguments:**

    - `manifold`: a sphere, a torus, or `rgen.SpecialOrthogonal(3)`.
    - `terms`: the largest degree $J \ge 0$ that is kept.
    """

    manifold: AbstractManifold
    terms: int = eqx.field(static=True)

    def __check_init__(self):
        if self.terms < 0:
            raise ValueError(
                "TruncatedHeatKernel: expected `terms` of at least 0, got "
                f"{self.terms}."
            )
        _expansion(self.manifold)

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("TruncatedHeatKernel.log_prob", v)
        total, _ = _expansion(self.manifold)(self.terms, x0, x, v)
        return jnp.sum(jnp.log(total)) - self.manifold.log_volume

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("TruncatedHeatKernel.score", v)
        total, gradient = _expansion(self.manifold)(self.terms, x0, x, v)
        return gradient / total

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        return heat_kernel(self.manifold).sample(x0, v, key)


# The volume times the truncated kernel and its gradient by `x`, for each factor of the
# torus separately.
_Expansion: TypeAlias = Callable[[int, Point, Point, Scalar], tuple[Array, Tangent]]


@singledispatch
def _expansion(manifold: Any) -> _Expansion:
    raise NotImplementedError(
        f"TruncatedHeatKernel: no eigenfunctions are known for {manifold}. Use "
        "rgen.heat_kernel(manifold), or rgen.VaradhanHeatKernel(manifold)."
    )


@_expansion.register
def _(manifold: Sphere) -> _Expansion:
    def expand(terms: int, x0: Point, x: Point, v: Scalar) -> tuple[Array, Tangent]:
        r, _, gradient = polar(manifold, x0, x)
        total = sphere_series(manifold.dim, terms, jnp.cos(r), v)
        slope = sphere_series_slope(manifold.dim, terms, jnp.cos(r), v)
        return total, slope * gradient

    return expand


@_expansion.register
def _(manifold: SpecialOrthogonal) -> _Expansion:
    def expand(terms: int, x0: Point, x: Point, v: Scalar) -> tuple[Array, Tangent]:
        angle, _, gradient = rotation_polar(x0, x)
        total, slope = rotation_series(terms, jnp.cos(angle), v)
        return total, slope * gradient

    if manifold.n == 3:
        return expand
    return _expansion.dispatch(object)(manifold)


@_expansion.register
def _(manifold: Torus) -> _Expansion:
    def expand(terms: int, x0: Point, x: Point, v: Scalar) -> tuple[Array, Tangent]:
        angle, _ = difference(x0, x)
        return circle_series(terms, angle, v)

    return expand
