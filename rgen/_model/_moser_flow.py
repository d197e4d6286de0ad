import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from .._cost import Cost
from .._distribution import AbstractDistribution, Uniform
from .._divergence import ExactDivergence
from .._manifold import AbstractManifold
from .._solver._solve import solve
from .._term import ScoreFunction, evaluate_field, flow_term
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractModel


class MoserFlow(AbstractModel):
    r"""A Moser flow (Rozen et al. 2021) on a compact manifold: the density

    $$p(x) = \nu\, (1 - \mathrm{div}\, u(x)),$$

    where $\nu$ is that of the uniform distribution. It integrates to one for every
    vector field $u$, and may be negative. Training minimises the mean of
    [`loss`][rgen.MoserFlow.loss], which penalises negative mass.

    Samples follow the flow of $\dot x = u(x) / (1 - t\,\mathrm{div}\, u(x))$ from a
    uniform point, $0 \le t \le 1$. Each evaluation pushes as many tangent vectors
    through $u$ as the manifold has dimensions.

    **Arguments:**

    - `manifold`: a compact manifold.
    - `field`: the vector field $u$, in units of $\nu$: a function of a point and a
        time, read at time 1, so that every field of [`rgen.nn`][rgen.nn.FlowField] is
        one.
    - `floor`: $\epsilon$, the density ratio $p / \nu$ below which the penalty applies.
    - `solver`, `stepsize_controller`, `adjoint`, `max_steps`: how Diffrax solves the
        flow, as for [`rgen.Flow`][].
    """

    manifold: AbstractManifold
    field: ScoreFunction
    floor: float = eqx.field(static=True)
    solver: diffrax.AbstractSolver
    stepsize_controller: diffrax.AbstractStepSizeController
    adjoint: diffrax.AbstractAdjoint
    max_steps: int = eqx.field(static=True)

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        field: ScoreFunction,
        *,
        floor: float = 1e-4,
        solver: diffrax.AbstractSolver = diffrax.Tsit5(),  # noqa: B008 (a constant)
        stepsize_controller: diffrax.AbstractStepSizeController = (
            diffrax.PIDController(rtol=1e-5, atol=1e-5)  # noqa: B008 (a constant)
        ),
        adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint(),  # noqa: B008
        max_steps: int = 4096,
    ):
        self.manifold = manifold
        self.field = field
        self.floor = floor
        self.solver = solver
        self.stepsize_controller = stepsize_controller
        self.adjoint = adjoint
        self.max_steps = max_steps

    def __check_init__(self):
        # The uniform distribution checks that the manifold is compact.
        _ = self.base
        if not self.floor > 0:
            raise ValueError(
                f"MoserFlow: expected `floor` to be positive, got {self.floor}."
            )

    @property
    def base(self) -> Uniform:
        """The uniform distribution."""
        return Uniform(self.manifold)

    @typed
    def ratio(self, x: Point) -> Scalar:
        r"""$p(x) / \nu = 1 - \mathrm{div}\, u(x)$, which may be negative. It trusts `x`
        to be on the manifold, as `loss` does."""
        return self._field_and_ratio(x)[1]

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        r"""$\log p(x)$, and its [`rgen.Cost`][], one evaluation. NaN, and not finished,
        where the density is not positive: train for longer or with a larger `penalty`;
        [`ratio`][rgen.MoserFlow.ratio] says where the mass is negative."""
        ratio = self.ratio(x)
        positive = ratio > 0
        log_ratio = jnp.where(positive, jnp.log(jnp.where(positive, ratio, 1)), jnp.nan)
        cost = Cost(jnp.array(1), jnp.array(0), positive)
        return log_ratio + self.base.log_prob(x), cost

    @typed
    def loss(
        self,
        x: Point,
        key: Key,
        penalty: float | Scalar = 1.0,
        proposal: AbstractDistribution | None = None,
    ) -> Scalar:
        r"""$-\log \max(r(x), \epsilon) + \lambda\, \frac{\nu(y)}{\eta(y)}\, (\epsilon -
        \min(r(y), \epsilon))$ with the ratio $r = p/\nu$, a data point `x`, a point $y$
        of the distribution $\eta$, the `proposal`, and the penalty $\lambda$ (Rozen et
        al. 2021, section 3). Its mean is the negative log-likelihood of a positive
        density, less the entropy of the uniform distribution.

        The proposal is uniform by default. Where the data are narrow clumps, the mass
        is negative in rims around them that a uniform point hardly ever hits: take one
        that has half of its points near the data.
        """
        proposal = self.base if proposal is None else proposal
        if proposal.manifold != self.manifold:
            raise ValueError(
                f"MoserFlow.loss: expected `proposal` on {self.manifold}, "
                f"got one on {proposal.manifold}."
            )
        y = jax.lax.stop_gradient(proposal.sample(key))
        weight = jnp.exp(self.base.log_prob(y) - proposal.log_prob(y))
        likelihood = jnp.log(jnp.maximum(self.ratio(x), self.floor))
        missing = self.floor - jnp.minimum(self.ratio(y), self.floor)
        return penalty * weight * missing - likelihood

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        """A sample, and its [`rgen.Cost`][]: evaluations of the field with its
        divergence. Where the ratio is less than `floor` the flow takes `floor`."""
        term = flow_term(self.manifold, self._velocity)
        settings = self.stepsize_controller, self.adjoint, self.max_steps
        start = self.base.sample(key)
        end, cost = solve(term, self.solver, start, 0.0, 1.0, *settings)
        return self.manifold.project(end), cost

    def _velocity(self, x: Point, t: Scalar) -> Tangent:
        u, ratio = self._field_and_ratio(x)
        return u / (1 - t + t * jnp.maximum(ratio, self.floor))

    def _field_and_ratio(self, x: Point) -> tuple[Tangent, Scalar]:
        t = jnp.ones((), x.dtype)
        field = lambda y: evaluate_field(self.field, self.manifold, y, t)
        u, divergence = ExactDivergence()(self.manifold, field, x)
        return u, 1 - divergence
