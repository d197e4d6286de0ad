import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.core import Tracer
from jaxtyping import Array

from .._errors import warn
from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from ._guided import scalar
from ._reconstruction import Reconstruction


class Particles(eqx.Module):
    """Weighted samples of a posterior."""

    points: Floating[Array, "particles ..."]
    """The particles."""

    log_weights: Floating[Array, " particles"]
    """The logarithms of their weights, whose sum is one."""

    log_evidence: Scalar
    r"""An estimate of $\log p(c) = \log \int p(c \mid x)\, p(x)\, \mathrm dx$, so that
    the posterior's density is $p(c \mid x)\, p(x) / p(c)$. The estimate of $p(c)$ is
    unbiased for the walk of these steps."""

    effective_sizes: Floating[Array, " times"]
    r"""The effective sample size $1 / \sum_i w_i^2$ at each time, before particles are
    resampled."""

    @typed
    def mean(self, function: Callable[[Point], Any]) -> Any:
        """The weighted mean of a function of a point."""
        weights = jnp.exp(self.log_weights)
        values = jax.vmap(function)(self.points)
        return jax.tree.map(lambda a: jnp.tensordot(weights, a, 1), values)

    @typed
    def resample(self, key: Key) -> Floating[Array, "particles ..."]:
        """As many particles of equal weight."""
        return self.points[_systematic(key, self.log_weights)]


class TwistedSampler(eqx.Module):
    r"""The twisted diffusion sampler, a particle filter along the time reversal (Wu et
    al. 2023, *Practical and asymptotically exact conditional sampling in diffusion
    models*, Algorithm 1), on a manifold.

    Samples a posterior $p(x \mid c) \propto p(c \mid x)\, p(x)$ of the model and a
    likelihood of the clean point. Particles walk as [`rgen.Guided`][] with
    [`rgen.Reconstruction`][] says, and are weighted for what this is off by: with more
    particles, means over them converge to those of the posterior of the walk, with an
    error of order $1 / \sqrt{\mathrm{particles}}$. They are resampled when the
    effective sample size falls below half of their number.

    A step from $x$ is $\exp_x$ of a normal vector, of the same covariance with guidance
    and without: the weight of a step is the ratio of two normal densities in one
    tangent space, $-\tfrac12 |\sigma g|^2 - \langle \sigma g, \xi\rangle$ for the
    guidance $g$ and the noise $\sigma \xi$, and is exact at any length of the step.

    **Arguments:**

    - `particles`: the number of particles.
    - `steps`: the number of steps, as for [`rgen.ReverseSDE`][].
    """

    particles: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    @typed
    def __init__(self, particles: int = 1024, steps: int = 200):
        if particles < 2 or steps < 1:
            raise ValueError(
                "TwistedSampler: expected `particles` of at least 2 and `steps` of at "
                f"least 1, got {particles} and {steps}."
            )
        self.particles = particles
        self.steps = steps

    @typed
    def __call__(
        self,
        score: ScoreFunction,
        process: AbstractProcess,
        log_likelihood: Callable[[Point], Scalar],
        key: Key,
        width: Scalar | float = math.inf,
    ) -> Particles:
        r"""Weighted samples of the posterior.

        A warning says when the effective sample size has fallen below two: give the
        `width` of the likelihood, or more particles.

        **Arguments:**

        - `score`: the score field of the model.
        - `process`: its noising process.
        - `log_likelihood`: $\log p(c \mid x)$, up to a constant: a function of a point
            that returns a scalar.
        - `key`: the random key.
        - `width`: the standard deviation of what is observed, as a distance on the
            manifold, as for [`rgen.Reconstruction`][]. What the particles converge to
            doesn't depend on it; where the likelihood is narrower than the data, few
            particles get there without it.
        """
        twist = Reconstruction(score, process, log_likelihood, width)
        found = _particles(self, twist, key)
        least = jnp.min(found.effective_sizes)
        if not isinstance(least, Tracer) and not least >= 2:
            warn(
                f"TwistedSampler: the effective sample size fell to {least:.2g} of "
                f"{self.particles} particles, and means over them are noise. Give the "
                "`width` of the likelihood, or more `particles`. Where it is nan, look "
                "for NaN in the score and the likelihood.",
                RuntimeWarning,
            )
        return found


class _Twist(NamedTuple):
    """A point, the logarithm of its twist with the gradient, and the score."""

    x: Point
    value: Scalar
    guidance: Tangent
    score: Tangent


@eqx.filter_jit
def _particles(sampler: TwistedSampler, twist: Reconstruction, key: Key) -> Particles:
    score, process = twist.score, twist.process
    manifold, n = process.manifold, sampler.particles
    times = process.time_grid(sampler.steps).astype(manifold.origin.dtype)
    prior_key, walk_key = jr.split(key)

    def at(x: Point, t: Scalar) -> _Twist:
        at_t = lambda y: twist(y, t)
        s = manifold.to_tangent(x, evaluate_field(score, manifold, x, t))
        return _Twist(x, at_t(x), manifold.gradient(at_t, x), s)

    def move(here: _Twist, t: Scalar, dt: Scalar, key: Key) -> tuple[Point, Scalar]:
        """A guided step back in time, and the logarithm of the ratio of the densities
        of the step without guidance and with it."""
        x, _, guidance, s = here
        beta = process.broadcast(process.schedule.beta(t))
        sigma = jnp.sqrt(beta * -dt)
        noise = manifold.tangent_noise(x, key)
        step = dt * (process.drift(x, t) - beta * (s + guidance)) + sigma * noise
        push = sigma * guidance
        ratio = -manifold.inner(x, push, push) / 2 - manifold.inner(x, push, noise)
        return manifold.exp(x, step), ratio

    def step(carry, inputs):
        x, log_weights, log_evidence = carry
        t, dt, key = inputs
        resample_key, move_key = jr.split(key)
        here = jax.vmap(at, (0, None))(x, t)
        log_weights, log_evidence, size = _normalised(
            log_weights + here.value, log_evidence
        )
        low = size < n / 2
        index = jnp.where(low, _systematic(resample_key, log_weights), jnp.arange(n))
        log_weights = jnp.where(low, -jnp.log(n), log_weights)
        here = jax.tree.map(lambda a: a[index], here)
        keys = jr.split(move_key, n)
        x, ratio = jax.vmap(move, (0, None, None, 0))(here, t, dt, keys)
        return (x, log_weights + ratio - here.value, log_evidence), size

    x = jax.vmap(process.prior.sample)(jr.split(prior_key, n))
    even = jnp.full(n, -math.log(n), x.dtype)
    carry = x, even, jnp.zeros((), x.dtype)
    inputs = times[:-1], jnp.diff(times), jr.split(walk_key, sampler.steps)
    (x, log_weights, log_evidence), sizes = jax.lax.scan(step, carry, inputs)
    # The point is clean now, and its likelihood is known.
    value = jax.vmap(lambda x: scalar(twist.log_likelihood(x)))(x)
    log_weights, log_evidence, last = _normalised(log_weights + value, log_evidence)
    return Particles(x, log_weights, log_evidence, jnp.append(sizes, last))


def _normalised(log_weights: Array, log_evidence: Array) -> tuple[Array, Array, Array]:
    """Weights whose sum is one, the evidence with what their sum was, and the effective
    sample size."""
    total = jax.nn.logsumexp(log_weights)
    log_weights = log_weights - total
    size = jnp.exp(-jax.nn.logsumexp(2 * log_weights))
    return log_weights, log_evidence + total, size


def _systematic(key: Key, log_weights: Array) -> Array:
    """Indices of as many particles as there are, each as often as its weight says, up
    to one: one uniform number decides on all."""
    n = len(log_weights)
    ends = jnp.cumsum(jnp.exp(log_weights))
    places = (jnp.arange(n) + jr.uniform(key, (), ends.dtype)) / n
    return jnp.clip(jnp.searchsorted(ends / ends[-1], places), 0, n - 1)
