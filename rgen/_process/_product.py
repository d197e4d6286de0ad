from jaxtyping import Array

from .._distribution import ProductDistribution
from .._kernel import ProductKernel
from .._manifold import Product
from .._schedule import ProductSchedule
from .._typing import Point, Tangent, typed
from ._base import AbstractProcess


class ProductProcess(AbstractProcess):
    r"""Independent processes, one on each factor of a product of manifolds, on one
    clock: Brownian motion on $SO(3)$ beside an Ornstein–Uhlenbeck process on
    $\mathbb R^3$ noises poses.

    Each factor keeps its schedule, its prior and its transition kernel. A point is
    that of [`rgen.Product`][].

    **Arguments:**

    - `processes`: the processes of the factors, one argument each, whose schedules run
        between the same times.
    """

    processes: tuple[AbstractProcess, ...]

    @typed
    def __init__(self, *processes: AbstractProcess):
        self.processes = processes

    def __check_init__(self):
        if not self.processes or any(
            isinstance(process, ProductProcess) for process in self.processes
        ):
            raise ValueError(
                "ProductProcess: expected one process or more, none of them a product "
                f"itself, got {[type(p).__name__ for p in self.processes]}. List the "
                "factors of all of them."
            )
        # Checks that the schedules run between the same times.
        _ = self.schedule

    @property
    def manifold(self) -> Product:
        return Product(*(process.manifold for process in self.processes))

    @property
    def schedule(self) -> ProductSchedule:
        return ProductSchedule(*(process.schedule for process in self.processes))

    @property
    def kernel(self) -> ProductKernel:
        return ProductKernel(*(process.kernel for process in self.processes))

    @property
    def prior(self) -> ProductDistribution:
        return ProductDistribution(*(process.prior for process in self.processes))

    @property
    def rate(self) -> tuple[float, ...]:
        rates = (process.rate for process in self.processes)
        return tuple(float(rate) for rate in rates)  # pyright: ignore[reportArgumentType]

    def _drift(self, x: Point) -> Tangent:
        pairs = zip(self.processes, self.manifold.split(x), strict=True)
        return self.manifold.join(*(process._drift(x) for process, x in pairs))

    def _denoised(self, x: Point, v: Array, score: Tangent) -> Point:
        parts = self.manifold.split(x), v, self.manifold.split(score)
        each = zip(self.processes, *parts, strict=True)
        return self.manifold.join(*(p._denoised(x, v, s) for p, x, v, s in each))
