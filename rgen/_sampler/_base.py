import abc
from functools import partial

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array

from .._model._ode import ODESolver
from .._process import AbstractProcess
from .._solver._walk import geodesic_walk
from .._term import ScoreFunction, probability_flow, reverse_sde
from .._typing import Floating, Key, Point, typed


class AbstractSampler(eqx.Module):
    """A way to turn a draw of the limit of a process into a draw of the model."""

    @abc.abstractmethod
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> Point:
        """The point at time `process.schedule.t0` for the point `x` at `t1`."""


class ReverseSDE(AbstractSampler):
    r"""The time reversal of the noising process, [`rgen.reverse_sde`][], by a geodesic
    random walk of equal time steps (De Bortoli et al. 2022, Algorithm 2).

    **Arguments:**

    - `steps`: the number of steps.
    """

    steps: int = eqx.field(static=True, default=200)

    @typed
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> Point:
        terms = partial(reverse_sde, process, score)
        ends = process.schedule.t1, process.schedule.t0
        return geodesic_walk(terms, process.manifold, x, *ends, self.steps, key)


class ProbabilityFlow(AbstractSampler):
    r"""The probability-flow ODE, [`rgen.probability_flow`][], by Diffrax's `Tsit5` with
    adaptive steps.

    **Arguments:**

    - `rtol`, `atol`: the relative and the absolute tolerance of a step. Below 1e-6 they
        ask for more than float32 has.
    - `max_steps`: the number of steps after which an error is raised.
    """

    rtol: float = eqx.field(static=True, default=1e-5)
    atol: float = eqx.field(static=True, default=1e-5)
    max_steps: int = eqx.field(static=True, default=4096)

    @typed
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> Point:
        term = probability_flow(process, score)
        field = lambda y, t: term.vf(t, y, None)
        ends = process.schedule.t1, process.schedule.t0
        end, _ = self._solver.end(process.manifold, field, x, *ends)
        return end

    @property
    def _solver(self) -> ODESolver:
        return ODESolver(self.rtol, self.atol, self.max_steps)


@eqx.filter_jit
@typed
def sample(
    score: ScoreFunction,
    process: AbstractProcess,
    key: Key,
    n: int,
    sampler: AbstractSampler = ReverseSDE(),  # noqa: B008 (a constant)
) -> Floating[Array, "n ..."]:
    r"""Draws `n` points from the model: from the limit of the process, backwards in
    time to `process.schedule.t0`.

    Compiled once for each `n`, each sampler and each structure of the score field:
    other parameters of the same shapes do not trace again.

    **Arguments:**

    - `score`: the score field, a function of a point and a time; an `eqx.Module` rather
        than a fresh closure, which would be compiled at every call.
    - `process`: the noising process that the score belongs to.
    - `key`: the random key.
    - `n`: the number of points.
    - `sampler`: [`rgen.ReverseSDE`][] or [`rgen.ProbabilityFlow`][].

    **Returns:** points of shape `(n, *process.manifold.point_shape)`.
    """
    if n < 1:
        raise ValueError(f"sample: expected `n` of at least 1, got {n}.")
    one = lambda key: draw(score, process, sampler, key)
    return jax.vmap(one)(jr.split(key, n))


def draw(
    score: ScoreFunction, process: AbstractProcess, sampler: AbstractSampler, key: Key
) -> Point:
    """One draw from the model."""
    limit_key, sampler_key = jr.split(key)
    x = process.prior.sample(limit_key)
    return sampler(score, process, x, sampler_key)
