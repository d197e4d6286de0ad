import equinox as eqx
import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance
from ._heat_kernel import heat_kernel
from ._series_kernel import AbstractSeriesKernel


class TruncatedHeatKernel(AbstractKernel):
    r"""The Sturm–Liouville series of the heat kernel in eigenfunctions of the
    Laplacian, cut after `terms` terms (De Bortoli et al. 2022, Table 2): on $S^d$ the
    degrees $l \le J$, on $SO(3)$ the representations $l \le J$, and on $T^d$ the modes
    $|n| \le J$ of each angle.

    Good once $J^2 v \gg 1$. At smaller variances the omitted terms matter: the sum
    takes negative values, where `log_prob` is NaN, and the score is wrong even in its
    sign.
    Samples are those of the exact kernel.

    **Arguments:**

    - `manifold`: a sphere, a torus, or `rgen.SpecialOrthogonal(3)`: one whose
        [`rgen.heat_kernel`][] is known as a series. Another raises a
        `NotImplementedError`.
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
        _ = self._kernel

    @property
    def _kernel(self) -> AbstractSeriesKernel:
        kernel = heat_kernel(self.manifold)
        if isinstance(kernel, AbstractSeriesKernel):
            return kernel
        raise NotImplementedError(
            f"TruncatedHeatKernel: no eigenfunctions are known for {self.manifold}. "
            "Use rgen.heat_kernel(manifold), or rgen.VaradhanHeatKernel(manifold)."
        )

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("TruncatedHeatKernel.log_prob", v)
        total, _ = self._kernel.series(self.terms, x0, x, v)
        return jnp.sum(jnp.log(total)) - self.manifold.log_volume

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("TruncatedHeatKernel.score", v)
        total, gradient = self._kernel.series(self.terms, x0, x, v)
        return gradient / total

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        return self._kernel.sample(x0, v, key)
