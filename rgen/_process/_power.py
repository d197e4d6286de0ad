import equinox as eqx
import jax
from jaxtyping import Array

from .._distribution import PowerDistribution
from .._kernel import PowerKernel
from .._manifold import Power
from .._schedule import AbstractSchedule
from .._typing import Point, Tangent, typed
from ._base import AbstractProcess


class PowerProcess(AbstractProcess):
    r"""Independent copies of one process on a power of its manifold: several poses,
    each noised by the [`rgen.ProductProcess`][] of one pose.

    All copies have the schedule of the process. A point is that of [`rgen.Power`][].

    **Arguments:**

    - `process`: the process of one copy.
    - `n`: the number of copies, at least 1.
    """

    process: AbstractProcess
    n: int = eqx.field(static=True)

    @typed
    def __init__(self, process: AbstractProcess, n: int):
        self.process = process
        self.n = n

    def __check_init__(self):
        # Which there is for one copy or more.
        _ = self.manifold

    @property
    def manifold(self) -> Power:
        return Power(self.process.manifold, self.n)

    @property
    def schedule(self) -> AbstractSchedule:
        return self.process.schedule

    @property
    def kernel(self) -> PowerKernel:
        return PowerKernel(self.process.kernel, self.n)

    @property
    def prior(self) -> PowerDistribution:
        return PowerDistribution(self.process.prior, self.n)

    @property
    def rate(self) -> float | tuple[float, ...]:
        return self.process.rate

    def _drift(self, x: Point) -> Tangent:
        return jax.vmap(self.process._drift)(x)

    def _denoised(self, x: Point, v: Array, score: Tangent) -> Point:
        return jax.vmap(self.process._denoised, (0, None, 0))(x, v, score)
