import diffrax
import equinox as eqx
import jax.numpy as jnp

from .._cost import Cost
from .._flow_solver import DenoisingMultistep
from .._process import AbstractProcess
from .._solver._evaluations import evaluations
from .._solver._walk import walk
from .._term import ScoreFunction, probability_flow
from .._typing import Key, Point, typed
from ._base import AbstractSampler, walked
from ._grid import TimeGrid, check_steps, times_of
from ._power_grid import PowerGrid


class FewSteps(AbstractSampler):
    r"""The probability-flow ODE, [`rgen.probability_flow`][], in a fixed number of
    steps along a grid of times.

    Use it when evaluations of the score are expensive, with 16 to 32 steps. Its error
    is not controlled: compare with twice as many. [`rgen.ProbabilityFlow`][] chooses
    its steps by a tolerance, and takes more of them.

    **Arguments:**

    - `steps`: the number of steps.
    - `solver`: a Diffrax solver for ODEs. By default [`rgen.DenoisingMultistep`][] of
        the process, with one evaluation a step. On a manifold without a `log` take
        `rgen.NoiseClock(diffrax.Heun(), process.schedule)`.
    - `adjoint`: how Diffrax differentiates the samples, as for [`rgen.ReverseSDE`][].
    - `grid`: a function of the process and the number of steps, which returns the
        `steps + 1` times. By default [`rgen.PowerGrid`][]; equal steps of the logarithm
        of the variance are [`rgen.AbstractProcess.time_grid`][].
    """

    steps: int = eqx.field(static=True)
    solver: diffrax.AbstractSolver | None
    adjoint: diffrax.AbstractAdjoint
    grid: TimeGrid

    @typed
    def __init__(
        self,
        steps: int,
        solver: diffrax.AbstractSolver | None = None,
        adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint(),  # noqa: B008
        grid: TimeGrid = PowerGrid(),  # noqa: B008 (a constant)
    ):
        self.steps = steps
        self.solver = solver
        self.grid = grid
        self.adjoint = adjoint

    def __check_init__(self):
        check_steps("FewSteps", self.steps, "Take 16, or more for a sharper result.")

    @typed
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> tuple[Point, Cost]:
        solver = DenoisingMultistep(process) if self.solver is None else self.solver
        times = times_of("FewSteps", self.grid, process, self.steps, x.dtype)
        flow = probability_flow(process, score)
        # A solver of another kind may leave the manifold.
        end = process.manifold.project(walk(flow, solver, x, times, self.adjoint))
        steps = jnp.array(self.steps)
        return walked(end, evaluations(solver, steps), steps)
