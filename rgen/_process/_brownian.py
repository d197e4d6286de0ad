import equinox as eqx
import jax.numpy as jnp

from .._distribution import Uniform
from .._kernel import heat_kernel
from .._manifold import AbstractManifold
from .._schedule import AbstractSchedule
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractProcess
from ._walk import walk


class Brownian(AbstractProcess):
    r"""Brownian motion on a compact manifold, $\mathrm dX_t = \sqrt{\beta(t)}\,
    \mathrm dB^{\mathcal M}_t$, which converges to the uniform law.

    Transitions are drawn from the exact heat kernel where
    [`rgen.heat_kernel`][] knows it, and by a geodesic random walk elsewhere.

    **Arguments:**

    - `manifold`: the manifold. A `ValueError` is raised where it is not compact.
    - `schedule`: the schedule of $\beta$.
    - `steps`: the number of steps of the random walk, where one is needed.
    """

    manifold: AbstractManifold
    schedule: AbstractSchedule
    steps: int = eqx.field(static=True)

    @typed
    def __init__(
        self, manifold: AbstractManifold, schedule: AbstractSchedule, steps: int = 100
    ):
        self.manifold = manifold
        self.schedule = schedule
        self.steps = steps

    def __check_init__(self):
        if not self.manifold.compact:
            raise ValueError(
                f"Brownian: expected a compact `manifold`, got {self.manifold}, on "
                "which Brownian motion has no limit. Use rgen.Langevin."
            )

    @property
    def prior(self) -> Uniform:
        return Uniform(self.manifold)

    @property
    def rate(self) -> float:
        return self.manifold.spectral_gap

    def _drift(self, x: Point) -> Tangent:
        return jnp.zeros_like(x)

    def _sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        try:
            kernel = heat_kernel(self.manifold)
        except NotImplementedError:
            return walk(self, x0, v, self.steps, key)
        return kernel.sample(x0, v, key)

    def _score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        return heat_kernel(self.manifold).score(x0, x, v)
