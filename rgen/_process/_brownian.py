import jax.numpy as jnp

from .._distribution import Uniform
from .._kernel import AbstractKernel, heat_kernel
from .._manifold import AbstractManifold
from .._schedule import AbstractSchedule
from .._typing import Point, Tangent, typed
from ._base import AbstractProcess, with_end


class Brownian(AbstractProcess):
    r"""Brownian motion on a compact manifold, $\mathrm dX_t = \sqrt{\beta(t)}\,
    \mathrm dB^{\mathcal M}_t$, which converges to the uniform distribution.

    **Arguments:**

    - `manifold`: the manifold. A `ValueError` is raised where it is not compact.
    - `schedule`: the schedule of $\beta$. By default a
        [`rgen.LogUniformSchedule`][] from the variance 1e-4 on.
    - `kernel`: the transition kernel, by default [`rgen.heat_kernel`][] of the
        manifold. The approximations of De Bortoli et al. (2022), Table 2, are
        [`rgen.TruncatedHeatKernel`][] and [`rgen.VaradhanHeatKernel`][].
    """

    manifold: AbstractManifold
    schedule: AbstractSchedule
    kernel: AbstractKernel

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        schedule: AbstractSchedule | None = None,
        kernel: AbstractKernel | None = None,
    ):
        if not manifold.compact:
            raise ValueError(
                f"Brownian: expected a compact `manifold`, got {manifold}, on which "
                "Brownian motion has no prior to converge to. Use rgen.Langevin."
            )
        self.manifold = manifold
        self.schedule = with_end(schedule, manifold.spectral_gap)
        self.kernel = heat_kernel(manifold) if kernel is None else kernel

    def __check_init__(self):
        if self.kernel.manifold != self.manifold:
            raise ValueError(
                f"Brownian: expected a `kernel` on {self.manifold}, got one on "
                f"{self.kernel.manifold}. Take rgen.heat_kernel(manifold)."
            )

    @property
    def prior(self) -> Uniform:
        return Uniform(self.manifold)

    @property
    def rate(self) -> float:
        return self.manifold.spectral_gap

    def _drift(self, x: Point) -> Tangent:
        return jnp.zeros_like(x)
