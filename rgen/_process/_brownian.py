import jax
import jax.numpy as jnp

from .._distribution import Uniform
from .._errors import warn
from .._kernel import AbstractKernel, RandomWalkKernel, heat_kernel
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
        [`rgen.TruncatedHeatKernel`][] and [`rgen.VaradhanHeatKernel`][]. A warning
        says where the steps of a random walk are too long for its retraction.
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
                "Brownian motion has no prior to converge to. Use rgen.Langevin, or "
                "for a product rgen.ProductProcess, with a process for each factor."
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
        if isinstance(self.kernel, RandomWalkKernel):
            _check_steps(self.kernel, self.schedule)

    @property
    def prior(self) -> Uniform:
        return Uniform(self.manifold)

    @property
    def rate(self) -> float:
        return self.manifold.spectral_gap

    def _drift(self, x: Point) -> Tangent:
        return jnp.zeros_like(x)


# Of a projection, whose steps are then a quarter of the radius of curvature.
_MOST = 0.02
_DOUBLINGS = range(1, 24)


def _check_steps(kernel: RandomWalkKernel, schedule: AbstractSchedule) -> None:
    with jax.ensure_compile_time_eval():
        v = float(schedule.variance(jnp.array(schedule.t1)))
    shortfall = kernel.shortfall(v)
    if shortfall <= _MOST:
        return
    # Half the variance is twice the steps. The shortfall of long ones follows no power
    # of their length, and is NaN where there is no nearest point.
    enough = (k for k in _DOUBLINGS if kernel.shortfall(v / 2**k) <= _MOST)
    k = next(enough, None)
    remedy = "" if k is None else f"steps={kernel.steps * 2**k} or more, or "
    warn(
        f"Brownian: the {kernel.steps} steps of the random walk are too long for its "
        f"retraction: at the end of the schedule they fall short by {shortfall:.0%}, "
        f"and a model would start from the wrong prior. Take {remedy}geodesics, "
        "rgen.RandomWalkKernel(manifold, steps=...).",
    )
