import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from .._cost import Cost
from .._divergence import AbstractDivergence
from .._flow_solver import AdamsBashforthMoulton
from .._process import AbstractProcess
from .._solver._solve import solve
from .._term import ScoreFunction, density_term, probability_flow
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractSampler


class ProbabilityFlow(AbstractSampler):
    r"""The probability-flow ODE, [`rgen.probability_flow`][], whose flow carries the
    prior to the model and gives the model its density.

    **Arguments:**

    - `solver`: a Diffrax solver for ODEs. By default
        [`rgen.AdamsBashforthMoulton`][], with one evaluation a step.
    - `stepsize_controller`: how it chooses its steps. By default
        `diffrax.PIDController`, with the coefficients of a PI controller and both
        tolerances at a thousandth of $\sqrt{v_0}$, the standard deviation of the noise
        at `schedule.t0`, and at most 1e-5. In
        float32 they stay above 1e-6, the rounding error of a solve: below
        $v_0 = 10^{-6}$ densities need float64. With
        `diffrax.StepTo(process.time_grid(60))`, times in either order, the steps are
        fixed: no point of a batch waits for the slowest, and no error is controlled.
    - `adjoint`: how Diffrax differentiates the solution:
        `diffrax.RecursiveCheckpointAdjoint()` in reverse mode, `diffrax.ForwardMode()`
        in forward mode, `diffrax.DirectAdjoint()` in both, as a Hessian takes.
    - `max_steps`: the number of steps after which the solver gives NaN.
    """

    solver: diffrax.AbstractSolver
    stepsize_controller: diffrax.AbstractStepSizeController | None
    adjoint: diffrax.AbstractAdjoint
    max_steps: int = eqx.field(static=True)

    @typed
    def __init__(
        self,
        solver: diffrax.AbstractSolver = AdamsBashforthMoulton(),  # noqa: B008
        stepsize_controller: diffrax.AbstractStepSizeController | None = None,
        adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint(),  # noqa: B008
        max_steps: int = 4096,
    ):
        self.solver = solver
        self.stepsize_controller = stepsize_controller
        self.adjoint = adjoint
        self.max_steps = max_steps

    @typed
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> tuple[Point, Cost]:
        flow = probability_flow(process, score)
        ends = process.schedule.t1, process.schedule.t0
        end, cost = self._solve(flow, process, x, *ends)
        return process.manifold.project(end), cost

    @typed
    def log_prob(
        self,
        score: ScoreFunction,
        process: AbstractProcess,
        x: Point,
        divergence: AbstractDivergence,
        key: Key | None,
    ) -> tuple[Scalar, Cost]:
        r"""$\log p_\infty(x_{t_1}) + \int \mathrm{div} f(x_t, t)\,\mathrm dt$ along the
        flow from $x_{t_0} = x$, and what it cost."""
        flow = density_term(probability_flow(process, score), divergence, key)
        ends = process.schedule.t0, process.schedule.t1
        (end, change), cost = self._carry(flow, process, x, *ends)
        log_prob, prior_cost = process.prior.log_prob_and_cost(end)
        return log_prob + change, prior_cost + cost

    @typed
    def sample_and_change(
        self,
        score: ScoreFunction,
        process: AbstractProcess,
        x: Point,
        divergence: AbstractDivergence,
        key: Key | None,
    ) -> tuple[tuple[Point, Scalar], Cost]:
        r"""The point at `schedule.t0` of the flow from `x` at `t1`, with what the
        log-density rises by on the way, and what it cost."""
        flow = density_term(probability_flow(process, score), divergence, key)
        ends = process.schedule.t1, process.schedule.t0
        (end, change), cost = self._carry(flow, process, x, *ends)
        return (end, -change), cost

    def _carry(self, flow, process, x, t0, t1):
        """The point at `t1`, with the integral of the divergence on the way."""
        y0 = x, jnp.zeros((), x.dtype)
        (end, change), cost = self._solve(flow, process, y0, t0, t1)
        return (process.manifold.project(end), change), cost

    def _solve(self, term, process, y0, t0, t1):
        controller = self.stepsize_controller
        if controller is None:
            controller = _controller(process, y0)
        settings = controller, self.adjoint, self.max_steps
        return solve(term, self.solver, y0, t0, t1, *settings)


def _controller(process: AbstractProcess, y0) -> diffrax.PIDController:
    dtype = jnp.result_type(*jax.tree.leaves(y0))
    least = 1e-6 if dtype == jnp.float32 else 1e-12
    noise = jnp.sqrt(jnp.min(process.schedule.variance(jnp.array(process.schedule.t0))))
    tolerance = jnp.clip(1e-3 * noise, least, 1e-5).astype(dtype)
    # A PI controller has a smaller error for as many evaluations: the tolerance is met
    # more evenly.
    return diffrax.PIDController(tolerance, tolerance, pcoeff=0.2, icoeff=0.4)
