import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from .._distribution import AbstractDistribution, Uniform
from .._distribution._base import on_manifold, require
from .._manifold import AbstractManifold
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, Tangent, typed
from ._ode import ODESolver


class MoserFlow(AbstractDistribution):
    r"""A Moser flow (Rozen et al. 2021) on a compact manifold: the density

    $$p(x) = \nu\, (1 - \mathrm{div}\, u(x)),$$

    where $\nu$ is that of the uniform law. It integrates to one for every vector field
    $u$, and may be negative. Training minimises the mean of
    [`loss`][rgen.MoserFlow.loss], which pays for negative mass.

    Draws follow the flow of $\dot x = u(x) / (1 - t\,\mathrm{div}\, u(x))$ from a
    uniform point, $0 \le t \le 1$. It needs as many passes through $u$ as the manifold
    has dimensions.

    **Arguments:**

    - `manifold`: a compact manifold.
    - `field`: the vector field $u$, in units of $\nu$: a function of a point and a
        time, read at time 1, so that every field of [`rgen.nn`][rgen.nn.FlowField] is
        one.
    - `floor`: $\epsilon$, the least ratio $p / \nu$ that is not paid for.
    - `rtol`, `atol`, `max_steps`: the tolerances of the flow, and the number of steps
        after which it raises an error.
    """

    manifold: AbstractManifold
    field: ScoreFunction
    floor: float = eqx.field(static=True, default=1e-4)
    rtol: float = eqx.field(static=True, default=1e-5)
    atol: float = eqx.field(static=True, default=1e-5)
    max_steps: int = eqx.field(static=True, default=4096)

    def __check_init__(self):
        # The uniform law checks that the manifold is compact.
        _ = self.base
        if not self.floor > 0:
            raise ValueError(
                f"MoserFlow: expected `floor` to be positive, got {self.floor}."
            )

    @property
    def base(self) -> Uniform:
        """The uniform law."""
        return Uniform(self.manifold)

    @typed
    def ratio(self, x: Point) -> Scalar:
        r"""$p(x) / \nu = 1 - \mathrm{div}\, u(x)$, which may be negative. It trusts `x`
        to be on the manifold, as `loss` does."""
        return 1 - self.manifold.divergence(self._tangent, x)

    @typed
    def log_prob(self, x: Point) -> Scalar:
        r"""$\log p(x)$. Where the density is not positive this is an error."""
        ratio = self.ratio(on_manifold(self.manifold, x))
        ratio = require(
            ~(ratio <= 0),
            ratio,
            "MoserFlow: expected a positive density at `x`, but the flow has negative "
            "mass there (train it for longer or with a larger `penalty`; `ratio` says "
            "where the density is positive)",
        )
        return jnp.log(ratio) + self.base.log_prob(x)

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
        of the law $\eta$, the `proposal`, and the penalty $\lambda$ (Rozen et al. 2021,
        section 3). Its mean is the negative log-likelihood of a positive density, less
        the entropy of the uniform law.

        The proposal is uniform by default. Where the data are narrow clumps, the mass
        is negative in rims around them that a uniform point hardly ever hits: take one
        that has half of its points near the data.
        """
        proposal = self.base if proposal is None else proposal
        if proposal.manifold != self.manifold:
            raise ValueError(
                f"MoserFlow.loss: expected `proposal` to be a law on {self.manifold}, "
                f"got one on {proposal.manifold}."
            )
        y = jax.lax.stop_gradient(proposal.sample(key))
        weight = jnp.exp(self.base.log_prob(y) - proposal.log_prob(y))
        likelihood = jnp.log(jnp.maximum(self.ratio(x), self.floor))
        missing = self.floor - jnp.minimum(self.ratio(y), self.floor)
        return penalty * weight * missing - likelihood

    @typed
    def sample(self, key: Key) -> Point:
        """A draw. Where the ratio is less than `floor` the flow takes `floor`."""
        return self.sample_evaluations(key)[0]

    @typed
    def sample_evaluations(self, key: Key) -> tuple[Point, Int[Array, ""]]:
        """A draw, and the number of evaluations of the field and its divergence that it
        took."""

        def velocity(x: Point, t: Scalar) -> Tangent:
            ratio = jnp.maximum(self.ratio(x), self.floor)
            return self._tangent(x) / (1 - t + t * ratio)

        solver = ODESolver(self.rtol, self.atol, self.max_steps)
        return solver.end(self.manifold, velocity, self.base.sample(key), 0.0, 1.0)

    def _tangent(self, x: Point) -> Tangent:
        return evaluate_field(self.field, self.manifold, x, jnp.ones((), x.dtype))
