import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._distribution import AbstractDistribution, WrappedNormal
from .._errors import warn
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
        [`rgen.LogUniformSchedule`][] from the variance 1e-4 on. It needs an end where
        the prior is no wrapped normal: how fast the process forgets is then not known,
        and a `ValueError` is raised.
    - `prior`: the prior. By default the wrapped normal of unit scale at the origin
        of the manifold. For any other potential give `rgen.Gibbs(manifold, U)`.
    - `steps`: the number of steps of the random walk.
    """

    manifold: AbstractManifold
    schedule: AbstractSchedule
    prior: AbstractDistribution
    rate: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        schedule: AbstractSchedule | None = None,
        prior: AbstractDistribution | None = None,
        steps: int = 100,
    ):
        if prior is None and type(manifold)._log is AbstractManifold._log:
            raise NotImplementedError(
                f"Langevin: {manifold} defines no `_log`, which the density of the "
                "default prior, a wrapped normal, takes. Give a `prior`, such as "
                "rgen.Gibbs(manifold, potential)."
            )
        if prior is None:
            prior = WrappedNormal(manifold, manifold.origin, jnp.array(1.0))
        self.manifold = manifold
        self.prior = prior
        self.rate = _rate(prior)
        self.schedule = with_end(schedule, self.rate)
        self.steps = steps

    def __check_init__(self):
        if self.prior.manifold != self.manifold:
            raise ValueError(
                f"Langevin: expected a `prior` on {self.manifold}, got one on "
                f"{self.prior.manifold}."
            )
        # Checks the number of steps.
        _ = self.kernel
        if self._pull > 1:
            warn(
                f"Langevin: the {self.steps} steps of the random walk are too long for "
                "the prior: at the end of the schedule a step overshoots its centre. "
                f"Take steps={math.ceil(self.steps * self._pull)} or more, or let the "
                "schedule end at a smaller variance."
            )

    @property
    def _pull(self) -> float:
        """Which share of the way to the prior's centre the longest step goes."""
        with jax.ensure_compile_time_eval():
            v = float(self.schedule.variance(jnp.array(self.schedule.t1)))
            return v / self.steps * _steepest(self.prior) / 2

    @property
    def kernel(self) -> RandomWalkKernel:
        return RandomWalkKernel(self.manifold, self._drift, self.steps)

    def _drift(self, x: Point) -> Tangent:
        return self.manifold.gradient(self.prior.log_prob, x) / 2


def _rate(prior: AbstractDistribution) -> float:
    """Minus the curvature of the potential, in its flattest direction."""
    return -min(_curvatures(prior), default=0.0)


def _steepest(prior: AbstractDistribution) -> float:
    return max(_curvatures(prior), default=0.0)


def _curvatures(prior: AbstractDistribution) -> list[float]:
    """Those of the potential at its centre, where they are known: of a normal prior
    with known scales."""
    if not isinstance(prior, WrappedNormal) or isinstance(prior.scale, Tracer):
        return []
    return [1 / float(scale) ** 2 for scale in np.ravel(prior.scale)]
