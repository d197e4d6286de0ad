import math
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool

from .._cost import Cost
from .._flow_solver import NoiseClock
from .._flow_solver._clock import noise_level, time_at
from .._process import AbstractProcess
from .._solver import GeodesicHeun
from .._solver._evaluations import evaluations
from .._term import ScoreFunction, probability_flow
from .._typing import BoolScalar, Key, Point, Scalar, typed
from ._base import AbstractSampler, walked
from ._grid import TimeGrid, check_steps, times_of
from ._power_grid import PowerGrid


class Churn(AbstractSampler):
    r"""The stochastic sampler of Karras et al. (2022, Algorithm 2): the probability
    flow, with fresh noise before each step.

    The noise level $\sigma = \sqrt v$ is raised to $(1 + \gamma)\,\sigma$, with
    $\gamma = \min(\mathtt{churn} / \mathtt{steps}, \sqrt2 - 1)$, by a transition of the
    noising process, `process.kernel.sample`, and not above that of $t_1$. Then a step
    of the flow leads from there to the next time of the grid. The transition is exact
    where the kernel is, so that no step of it adds to the error.

    Without churn it is [`rgen.FewSteps`][] with the same solver. Use some where a
    learnt score is wrong at places that the flow passes: noise corrects errors of
    earlier steps, and needs more steps. With the default solver and a kernel that is
    exact it is differentiable in forward and reverse mode; a random walk passes no
    gradient.

    **Arguments:**

    - `steps`: the number of steps.
    - `churn`: $S_{\mathrm{churn}}$, about by how much the logarithm of the noise level
        is raised in all; 0 for no noise.
    - `solver`: an explicit Diffrax solver for ODEs. By default
        [`rgen.GeodesicHeun`][] with a [`rgen.NoiseClock`][], two evaluations a step. A
        solver that goes on from earlier steps starts anew after each noise, and
        [`rgen.DenoisingMultistep`][] is of order 1 then.
    - `grid`: a function of the process and the number of steps, as for
        [`rgen.FewSteps`][].
    """

    steps: int = eqx.field(static=True)
    churn: float = eqx.field(static=True)
    solver: diffrax.AbstractSolver | None
    grid: TimeGrid

    @typed
    def __init__(
        self,
        steps: int,
        churn: float,
        solver: diffrax.AbstractSolver | None = None,
        grid: TimeGrid = PowerGrid(),  # noqa: B008 (a constant)
    ):
        self.steps = steps
        self.churn = churn
        self.solver = solver
        self.grid = grid

    def __check_init__(self):
        check_steps("Churn", self.steps, "Take 32, or more for a sharper result.")
        if not 0 <= self.churn < math.inf:
            raise ValueError(
                "Churn: expected `churn` to be at least 0 and finite, got "
                f"{self.churn}. Take a number between 0, for no noise, and "
                f"{_MOST:.2f} times the steps, the most that is added."
            )

    @typed
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> tuple[Point, Cost]:
        solver = self.solver
        if solver is None:
            solver = NoiseClock(GeodesicHeun(process.manifold), process.schedule)
        flow = probability_flow(process, score)
        times = times_of("Churn", self.grid, process, self.steps, x.dtype)

        def step(
            carry: tuple[Point, Any], now: tuple[Scalar, Scalar, Key]
        ) -> tuple[tuple[Point, Any], BoolScalar]:
            (x, state), (t, after, key) = carry, now
            x, t, jump = self._raise(process, x, t, key)
            x, _, _, state, _ = solver.step(flow, t, after, x, None, state, jump)
            return (x, state), jump

        start = x, solver.init(flow, times[0], times[1], x, None)
        each = times[:-1], times[1:], jr.split(key, self.steps)
        (end, _), jumps = jax.lax.scan(step, start, each)
        # A solver of another kind may leave the manifold.
        end = process.manifold.project(end)
        return walked(end, _evaluations(solver, jumps), jnp.array(self.steps))

    @property
    def _rise(self) -> float:
        return min(self.churn / self.steps, _MOST)

    def _raise(
        self, process: AbstractProcess, x: Point, t: Scalar, key: Key
    ) -> tuple[Point, Scalar, BoolScalar]:
        """The point and the time at the raised noise level, and whether it is raised:
        at the end of the schedule it is not."""
        if self._rise == 0:
            return x, t, jnp.array(False)
        schedule = process.schedule
        last = noise_level(schedule, jnp.asarray(schedule.t1, t.dtype))
        sigma = jnp.minimum((1 + self._rise) * noise_level(schedule, t), last)
        raised = time_at(schedule, sigma)
        added = schedule.variance(raised) - schedule.variance(t)
        # Not by a rounding error.
        jump = (noise_level(schedule, t) < last) & jnp.all(added > 0)
        noised = process.kernel.sample(x, jnp.where(jump, added, 1), key)
        return jnp.where(jump, noised, x), jnp.where(jump, raised, t), jump


# Of the share by which the noise level is raised: its variance is doubled (Karras et
# al. 2022, Algorithm 2).
_MOST = math.sqrt(2) - 1


def _evaluations(solver: diffrax.AbstractSolver, jumps: Bool[Array, " steps"]) -> Array:
    """After a jump a solver starts anew."""
    one, two = (evaluations(solver, jnp.array(n)) for n in (1, 2))
    anew = jumps.at[0].set(True)
    return jnp.sum(jnp.where(anew, one, two - one))
