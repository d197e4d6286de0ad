from typing import Any

import diffrax
import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from .._cost import Cost
from .._distribution import AbstractDistribution
from .._divergence import AbstractDivergence, ExactDivergence
from .._given import Given
from .._manifold import AbstractManifold
from .._solver._solve import solve
from .._term import ScoreFunction, density_term, evaluate_field, flow_term
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractModel, require_finished


class Flow(AbstractModel):
    r"""A Riemannian continuous normalizing flow (Mathieu and Nickel 2020; Lou et al.
    2020; Falorsi and Forré 2020): the distribution of $x_1$, for $x_0$ sampled from
    `base` and $\dot x_t = f(x_t, t)$.

    $$\log p(x_1) = \log p_0(x_0) - \int_0^1 \mathrm{div} f(x_t, t)\,\mathrm dt$$

    Train it by maximum likelihood, the mean of `-flow.log_prob(x)`, whose gradient is
    that of the ODE's solution. Or without solving an ODE, by
    [`rgen.losses.flow_matching`][] of its field.

    **Arguments:**

    - `base`: the distribution at time 0, on the manifold of the flow.
    - `field`: the vector field, a function of a point and a time that returns a tangent
        vector; for a conditional flow of a condition too.
    - `solver`, `stepsize_controller`: how Diffrax solves the ODE.
    - `adjoint`: how Diffrax differentiates the solution. By default through its steps,
        in reverse mode; `diffrax.BacksolveAdjoint()` needs less memory and is less
        exact; `diffrax.DirectAdjoint()` works in forward mode too.
    - `max_steps`: the number of steps after which the solver gives NaN.
    - `divergence`: [`rgen.ExactDivergence`][], or [`rgen.HutchinsonDivergence`][] for
        an unbiased estimate of `log_prob`, which takes a `key`, and pushes one tangent
        vector through the field at each evaluation rather than one a dimension.
    """

    base: AbstractDistribution
    field: ScoreFunction
    solver: diffrax.AbstractSolver
    stepsize_controller: diffrax.AbstractStepSizeController
    adjoint: diffrax.AbstractAdjoint
    max_steps: int = eqx.field(static=True)
    divergence: AbstractDivergence

    @typed
    def __init__(
        self,
        base: AbstractDistribution,
        field: ScoreFunction,
        *,
        solver: diffrax.AbstractSolver = diffrax.Tsit5(),  # noqa: B008 (a constant)
        stepsize_controller: diffrax.AbstractStepSizeController = (
            diffrax.PIDController(rtol=1e-5, atol=1e-5)  # noqa: B008 (a constant)
        ),
        adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint(),  # noqa: B008
        max_steps: int = 4096,
        divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
    ):
        self.base = base
        self.field = field
        self.solver = solver
        self.stepsize_controller = stepsize_controller
        self.adjoint = adjoint
        self.max_steps = max_steps
        self.divergence = divergence

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the base."""
        return self.base.manifold

    @typed
    def given(self, c: Any) -> "Flow":
        """The flow given the condition `c`. For one condition a point,
        [`rgen.sample`][] and [`rgen.log_prob`][] take `given=conditions`."""
        return eqx.tree_at(lambda m: m.field, self, Given(self.field, c))

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        (start, change), cost = self._carry(x, 1.0, 0.0, key)
        base_key = None if key is None else jr.fold_in(key, 1)
        log_prob, base_cost = self.base.log_prob_and_cost(start, base_key)
        return log_prob + change, base_cost + cost

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        start, base_cost = self.base.sample_and_cost(key)
        end, cost = self._solve(self._term, start, 0.0, 1.0)
        return self.manifold.project(end), base_cost + cost

    @typed
    def sample_and_log_prob(self, key: Key) -> tuple[Point, Scalar]:
        r"""A sample $x$ of $p$, and $\log p(x)$, in one solve; with
        [`rgen.HutchinsonDivergence`][] an estimate of it."""
        base_key, divergence_key = jr.split(key)
        start, log_prob = self.base.sample_and_log_prob(base_key)
        (end, change), cost = self._carry(start, 0.0, 1.0, divergence_key)
        found = end, log_prob - change
        x, log_prob = (require_finished(cost, each) for each in found)
        return x, log_prob

    @property
    def _term(self) -> diffrax.ODETerm:
        return flow_term(self.manifold, _Field(self.manifold, self.field))

    def _carry(self, x, t0, t1, key):
        """The point at `t1`, with the integral of the divergence on the way."""
        term = density_term(self._term, self.divergence, key)
        (end, change), cost = self._solve(term, (x, jnp.zeros((), x.dtype)), t0, t1)
        return (self.manifold.project(end), change), cost

    def _solve(self, term, y0, t0, t1):
        settings = self.stepsize_controller, self.adjoint, self.max_steps
        return solve(term, self.solver, y0, t0, t1, *settings)


class _Field(eqx.Module):
    manifold: AbstractManifold
    field: ScoreFunction

    def __call__(self, x: Point, t: Scalar) -> Tangent:
        return evaluate_field(self.field, self.manifold, x, t)
