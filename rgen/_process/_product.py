from typing import Any

from jaxtyping import Array

from .._distribution import ProductDistribution
from .._kernel import ProductKernel
from .._manifold import Product
from .._schedule import ProductSchedule
from .._typing import Point, Tangent
from ._base import AbstractProcess


class ProductProcess(AbstractProcess):
    r"""Independent processes, one on each factor of a product of manifolds, on one
    clock: Brownian motion on $SO(3)$ beside an Ornstein–Uhlenbeck process on
    $\mathbb R^3$ noises poses.

    Each factor keeps its schedule, its prior and its transition kernel. A point is
    that of [`rgen.Product`][].

    **Arguments:**

    - `processes`: the processes of the factors, one argument each, whose schedules run
        between the same times. For several copies of one process use
        [`rgen.PowerProcess`][].

    **Raises:** a `ValueError` that names the factor that is no process of one schedule,
    or whose kernel or prior is on another manifold.
    """

    processes: tuple[AbstractProcess, ...]

    def __init__(self, *processes: Any):
        if not processes:
            raise ValueError(
                "ProductProcess: expected one process or more, got none. Give one for "
                "each factor."
            )
        self.processes = tuple(
            _factor(index, process) for index, process in enumerate(processes)
        )

    def __check_init__(self):
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


def _factor(index: int, process: Any) -> AbstractProcess:
    """`process`, which is required to be one that can be a factor."""
    where = f"ProductProcess: expected factor {index} to be"
    if not isinstance(process, AbstractProcess):
        raise ValueError(
            f"{where} a process, got one of type {type(process).__name__}. Give each "
            "process as an argument. Of a manifold make one first: rgen.Brownian if it "
            "is compact, rgen.OrnsteinUhlenbeck on Euclidean space, else rgen.Langevin."
        )
    if isinstance(process.rate, tuple):
        raise ValueError(
            f"{where} a process of one schedule, got a {type(process).__name__} with "
            f"{len(process.rate)} of them. Give the factors of a product as arguments, "
            "rgen.ProductProcess(*product.processes, other), and of a power of a "
            "product the powers of its factors."
        )
    for part in ("kernel", "prior"):
        found = getattr(process, part).manifold
        if found != process.manifold:
            raise ValueError(
                f"{where} a process on one manifold, got a {type(process).__name__} on "
                f"{process.manifold} with a {part} on {found}. Give it a {part} on "
                f"{process.manifold}."
            )
    return process
