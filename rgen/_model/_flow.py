import diffrax
from jaxtyping import Array, Int

from .._distribution import AbstractDistribution
from .._distribution._base import on_manifold
from .._divergence import AbstractDivergence, ExactDivergence
from .._manifold import AbstractManifold
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, Tangent, typed
from ._ode import ODESolver


class Flow(AbstractDistribution):
    r"""A Riemannian continuous normalizing flow (Mathieu and Nickel 2020; Lou et al.
    2020; Falorsi and Forré 2020): the law of $x_1$, for $x_0$ drawn from `base` and
    $\dot x_t = f(x_t, t)$.

    $$\log p(x_1) = \log p_0(x_0) - \int_0^1 \mathrm{div} f(x_t, t)\,\mathrm dt$$

    Train it by maximum likelihood, the mean of `-flow.log_prob(x)`, of which the
    gradient is that of the ODE's solution. Or without solving an ODE, by
    [`rgen.losses.flow_matching`][] of its field.

    **Arguments:**

    - `base`: the law at time 0, on the manifold of the flow.
    - `field`: the vector field, a function of a point and a time that returns a tangent
        vector.
    - `rtol`, `atol`: the tolerances of a step of the solver, Diffrax's `Tsit5`.
    - `max_steps`: the number of steps after which an error is raised.
    - `divergence`: [`rgen.ExactDivergence`][], or [`rgen.HutchinsonDivergence`][] for
        an unbiased estimate of `log_prob`, which takes a `key`, and one pass of a
        tangent vector at each evaluation of the field rather than one a dimension.
    - `adjoint`: how Diffrax differentiates the solution. By default through its steps;
        `diffrax.BacksolveAdjoint()` needs less memory and is less exact.
    """

    base: AbstractDistribution
    field: ScoreFunction
    divergence: AbstractDivergence
    _solver: ODESolver

    @typed
    def __init__(
        self,
        base: AbstractDistribution,
        field: ScoreFunction,
        *,
        rtol: float = 1e-5,
        atol: float = 1e-5,
        max_steps: int = 4096,
        divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
        adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint(),  # noqa: B008
    ):
        self.base = base
        self.field = field
        self.divergence = divergence
        self._solver = ODESolver(rtol, atol, max_steps, adjoint)

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the base."""
        return self.base.manifold

    @typed
    def log_prob(self, x: Point, key: Key | None = None) -> Scalar:
        return self.log_prob_evaluations(x, key)[0]

    @typed
    def log_prob_evaluations(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Int[Array, ""]]:
        r"""$\log p(x)$, and the number of evaluations of the field and its divergence
        that it took."""
        x = on_manifold(self.manifold, x)
        start, change, evaluations = self._solver.end_and_density(
            self.manifold, self._tangent, x, 1.0, 0.0, self.divergence, key
        )
        return self.base.log_prob(start) + change, evaluations

    @typed
    def sample(self, key: Key) -> Point:
        return self.sample_evaluations(key)[0]

    @typed
    def sample_evaluations(self, key: Key) -> tuple[Point, Int[Array, ""]]:
        r"""A draw from $p$, and the number of evaluations of the field that it took."""
        start = self.base.sample(key)
        return self._solver.end(self.manifold, self._tangent, start, 0.0, 1.0)

    def _tangent(self, x: Point, t: Scalar) -> Tangent:
        return evaluate_field(self.field, self.manifold, x, t)
