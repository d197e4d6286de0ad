import functools
import math
from collections.abc import Callable
from typing import Any, NoReturn

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._solver import (
    AbstractRetraction,
    BrownianGrid,
    GeodesicRandomWalk,
    NoiseTerm,
)
from .._solver._walk import walk
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance


class RandomWalkKernel(AbstractKernel):
    r"""The transition kernel of $\mathrm dX_v = b(X_v)\,\mathrm dv +
    \mathrm dB^{\mathcal M}_v$, in the sense of Itô, sampled by a random walk of equal
    steps of variance: Algorithm 1 of De Bortoli et al. (2022). Without a drift it
    approximates the heat kernel, on every manifold. Of weak order 1 in the size of a
    step.

    Its density and its score are not known: `log_prob` and `score` raise a
    `NotImplementedError`. No gradient flows through a sample.

    Steps must be short against the curvature: for the variance $v$ and the smallest
    radius of curvature $\rho$ take at least $10 v / \rho^2$ steps, and $40 v / \rho^2$
    with an [`rgen.ProjectionRetraction`][]. With fewer, the samples have too little
    noise, and with a projection the walk converges to another distribution than the
    prior; [`rgen.Brownian`][] then warns.

    **Arguments:**

    - `manifold`: the manifold.
    - `drift`: the drift $b$ at unit speed, a function of a point, or none.
    - `steps`: the number of steps.
    - `solver`: the Diffrax solver that takes the steps. By default the
        [`rgen.GeodesicRandomWalk`][] of the manifold.
    """

    manifold: AbstractManifold
    drift: Callable[[Point], Tangent] | None
    steps: int = eqx.field(static=True)
    solver: diffrax.AbstractSolver

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        drift: Callable | None = None,
        steps: int = 100,
        solver: diffrax.AbstractSolver | None = None,
    ):
        self.manifold = manifold
        self.drift = drift
        self.steps = steps
        self.solver = GeodesicRandomWalk(manifold) if solver is None else solver

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(
                "RandomWalkKernel: expected `steps` of at least 1, got "
                f"{self.steps}. Take as many as the curvature asks for, 100 by default."
            )

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self._unknown("density")

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self._unknown("score")

    def shortfall(self, v: float) -> float:
        """By which share of its length a step of the walk to the variance `v` ends
        beside the geodesic, at the origin or at the worst of 64 points that a diffusion
        of variance `v` reaches from there; zero for geodesics, and for a solver that
        has no retraction."""
        if not isinstance(self.solver, GeodesicRandomWalk):
            return 0.0
        retraction = self.solver.retraction
        if retraction.order is None:
            return 0.0
        with jax.ensure_compile_time_eval():
            return _shortfall(self.manifold, retraction, v, self.steps)

    def _unknown(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"RandomWalkKernel: the {what} of a random walk on {self.manifold} is not "
            f"known. {self._remedy()} A kernel mixture, "
            "rgen.metrics.squared_mmd and rgen.metrics.permutation_test need a "
            "manifold whose heat kernel is known."
        )

    def _remedy(self) -> str:
        if type(self.manifold)._log is AbstractManifold._log:
            losses = "rgen.losses.implicit or rgen.losses.sliced"
            return f"Use a loss that does not need it, {losses}."
        losses = (
            "rgen.losses.implicit, rgen.losses.sliced or rgen.losses.denoising_step"
        )
        if self.drift is not None:
            # Varadhan's kernel would ignore the drift.
            return f"Use a loss that does not need it, {losses}."
        return (
            f"Use a loss that does not need it, {losses}, or give the process the "
            "approximate kernel=rgen.VaradhanHeatKernel(manifold)."
        )

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("RandomWalkKernel.sample", v)
        x0, v = jax.lax.stop_gradient((x0, v))
        times = jnp.linspace(0, v, self.steps + 1, dtype=x0.dtype)
        path = BrownianGrid(self.manifold.noise_shape, times, key, x0.dtype)
        term = NoiseTerm(self.manifold, _unit_speed, path)
        if self.drift is not None:
            drift = diffrax.ODETerm(_Drift(self.drift))
            term = diffrax.MultiTerm(drift, term)
        return walk(term, self.solver, x0, times)


def _shortfall(
    manifold: AbstractManifold, retraction: AbstractRetraction, v: float, steps: int
) -> float:
    x, direction = _points(manifold, math.sqrt(v))
    length = math.sqrt(v / steps)
    step = length * direction
    gaps = _retractions(manifold, retraction, x, step) - _exponentials(
        manifold, x, step
    )
    return float(jnp.max(jnp.linalg.norm(gaps.reshape(len(gaps), -1), axis=1)) / length)


@functools.cache
def _points(manifold: AbstractManifold, reach: float) -> tuple[Array, Array]:
    """The origin and 64 points that a diffusion reaches from there, and a direction at
    each."""
    keys = jr.split(jr.key(0), (2, 65))
    origins = jnp.repeat(manifold.origin[None], 65, axis=0)
    noise = jax.jit(jax.vmap(manifold.tangent_noise))
    away = jnp.append(jnp.zeros(1), jnp.full(64, reach))
    scale = jax.vmap(jnp.multiply)
    x = _exponentials(manifold, origins, scale(away, noise(origins, keys[0])))
    direction = noise(x, keys[1])
    return x, scale(1 / jax.vmap(manifold.norm)(x, direction), direction)


# In functions of their own, as a geodesic may be long to compile.
@eqx.filter_jit
def _exponentials(manifold: AbstractManifold, x: Array, v: Array) -> Array:
    return jax.vmap(manifold.exp)(x, v)


@eqx.filter_jit
def _retractions(
    manifold: AbstractManifold, retraction: AbstractRetraction, x: Array, v: Array
) -> Array:
    return jax.vmap(functools.partial(retraction, manifold))(x, v)


class _Drift(eqx.Module):
    drift: Callable[[Point], Tangent]

    def __call__(self, t: Any, y: Point, args: Any) -> Tangent:
        return self.drift(y)


def _unit_speed(t: Scalar) -> Scalar:
    return jnp.ones_like(t)
