import equinox as eqx
import jax.numpy as jnp

from .._distribution import AbstractDistribution, WrappedNormal
from .._kernel import RandomWalkKernel
from .._manifold import AbstractManifold
from .._schedule import AbstractSchedule
from .._typing import Point, Tangent, typed
from ._base import AbstractProcess, with_end


class Langevin(AbstractProcess):
    r"""Langevin dynamics, $\mathrm dX_t = -\tfrac12 \beta(t) \nabla U(X_t)\,\mathrm dt
    + \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$, which converges to the distribution
    of density $e^{-U}$ (De Bortoli et al. 2022, section 3).

    The potential is minus the log-density of the prior. Transitions are sampled by a
    random walk, [`rgen.RandomWalkKernel`][]; their density is not known, so that it
    trains with a loss that needs none, such as [`rgen.losses.implicit`][].

    **Arguments:**

    - `manifold`: the manifold, compact or not.
    - `schedule`: the schedule of $\beta$. By default a
        [`rgen.LogUniformSchedule`][] from the variance 1e-4 on.
    - `prior`: the prior. By default the wrapped normal of unit scale at the origin
        of the manifold. For any other potential give `rgen.Gibbs(manifold, U)`.
    - `steps`: the number of steps of the random walk.
    """

    manifold: AbstractManifold
    schedule: AbstractSchedule
    prior: AbstractDistribution
    steps: int = eqx.field(static=True)

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        schedule: AbstractSchedule | None = None,
        prior: AbstractDistribution | None = None,
        steps: int = 100,
    ):
        self.manifold = manifold
        self.schedule = with_end(schedule, self.rate)
        if prior is None:
            prior = WrappedNormal(manifold, manifold.origin, jnp.array(1.0))
        self.prior = prior
        self.steps = steps

    def __check_init__(self):
        # Checks the number of steps.
        _ = self.kernel

    @property
    def kernel(self) -> RandomWalkKernel:
        return RandomWalkKernel(self.manifold, self._drift, self.steps)

    @property
    def rate(self) -> float:
        return -1.0

    def _drift(self, x: Point) -> Tangent:
        return self.manifold.gradient(self.prior.log_prob, x) / 2
