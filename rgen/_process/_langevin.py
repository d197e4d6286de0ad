import equinox as eqx
import jax.numpy as jnp

from .._distribution import AbstractDistribution, WrappedNormal
from .._manifold import AbstractManifold
from .._schedule import AbstractSchedule
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractProcess
from ._walk import walk


class Langevin(AbstractProcess):
    r"""Langevin dynamics, $\mathrm dX_t = -\tfrac12 \beta(t) \nabla U(X_t)\,\mathrm dt
    + \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$, which converges to the law with
    density $e^{-U}$ (De Bortoli et al. 2022, section 3).

    The potential is minus the log-density of the limit. Transitions are drawn by a
    geodesic random walk.

    **Arguments:**

    - `manifold`: the manifold, compact or not.
    - `schedule`: the schedule of $\beta$.
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
        schedule: AbstractSchedule,
        prior: AbstractDistribution | None = None,
        steps: int = 100,
    ):
        self.manifold = manifold
        self.schedule = schedule
        if prior is None:
            prior = WrappedNormal(manifold, manifold.origin, jnp.array(1.0))
        self.prior = prior
        self.steps = steps

    @property
    def rate(self) -> float:
        return -1.0

    def _drift(self, x: Point) -> Tangent:
        return self.manifold.gradient(self.prior.log_prob, x) / 2

    def _sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        return walk(self, x0, v, self.steps, key)

    def _score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        raise NotImplementedError(
            f"no exact transition density is known for Langevin dynamics on "
            f"{self.manifold}. Use the denoising loss with target=rgen.Varadhan(), "
            "or rgen.losses.implicit."
        )
