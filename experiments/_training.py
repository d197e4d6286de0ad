"""The training of the neural models that are compared: the same for all."""

import math
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from tqdm import tqdm

import rgen


SELECTIONS = 8
# Of points whose densities are evaluated at a time.
BLOCK = 256


class Trained(NamedTuple):
    """A model, the wall-clock seconds of it all, with compilation and evaluations, and
    the milliseconds of a step."""

    model: Any
    seconds: float
    step_ms: float


def train(
    model: Any,
    loss: Callable,
    draw: Callable,
    key: jax.Array,
    *,
    steps: int,
    candidate: Callable | None = None,
    rate: float = 3e-3,
) -> Trained:
    """The average of the model over about the last tenth of the steps, in which the
    weight of step i is that of i^9. With `candidate`, which makes of an average the law
    to be tested and its NLL on validation, it is the best such law of eight averages at
    equal intervals.

    `draw(key)` is a batch of data, of an `eqx.Partial` or another module, and
    `loss(model, x0, key)` the loss of one.
    """
    start = time.perf_counter()
    warmup = min(200, steps // 10)
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warmup, steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    average = model

    @eqx.filter_jit
    def step(draw, model, average, state, i, key):
        batch_key, loss_key = jr.split(key)
        _, grads = eqx.filter_value_and_grad(loss)(model, draw(batch_key), loss_key)
        updates, state = optim.update(grads, state)
        model = eqx.apply_updates(model, updates)
        arrays, static = eqx.partition(model, eqx.is_inexact_array)
        before = eqx.filter(average, eqx.is_inexact_array)
        average = optax.incremental_update(arrays, before, 10 / (i + 10))
        average = eqx.combine(average, static)
        return model, average, state

    step_seconds, selections = [], []
    seen = {(k + 1) * steps // SELECTIONS for k in range(SELECTIONS)}
    # Steps leave a part of a second core idle, where candidates are evaluated.
    with ThreadPoolExecutor(max_workers=1) as pool:
        for i, step_key in enumerate(tqdm(jr.split(key, steps), disable=None)):
            before = time.perf_counter()
            model, average, state = step(
                draw, model, average, state, jnp.array(i), step_key
            )
            jax.block_until_ready(average)
            step_seconds.append(time.perf_counter() - before)
            if candidate and i + 1 in seen:
                selections.append(pool.submit(candidate, average))
    best = _best(selections) if candidate else average
    if not candidate and not _finite(average):
        raise FloatingPointError(
            "train: expected finite weights, got some that are not. Lower `rate`."
        )
    seconds = time.perf_counter() - start
    return Trained(best, seconds, 1e3 * statistics.median(step_seconds))


def _best(selections: list[Future]) -> Any:
    found = [selection.result() for selection in selections]
    finite = [(law, nll) for law, nll in found if math.isfinite(nll)]
    if not finite:
        raise FloatingPointError(
            "train: expected a finite NLL on validation, got none. Lower `rate`."
        )
    return min(finite, key=lambda each: each[1])[0]


def _finite(model: Any) -> bool:
    arrays = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return all(bool(jnp.all(jnp.isfinite(array))) for array in arrays)


def minibatches(data: jax.Array, n: int) -> Callable:
    """Batches of `n` of the points `data`, or of as many as there are."""
    return eqx.Partial(rgen.datasets.minibatch, x=data, size=min(n, len(data)))


def draws(law: rgen.AbstractDistribution, n: int) -> Callable:
    """Batches of `n` draws of a law."""
    return eqx.Partial(_draws, law=law, n=n)


@eqx.filter_jit
def _draws(key, law, n):
    return jax.vmap(law.sample)(jr.split(key, n))


def drawn(law: rgen.AbstractDistribution, n: int, key: jax.Array) -> jax.Array | None:
    """`n` draws of a law, or none where its sampler gives up: the likelihoods of long
    training are not to be lost for it."""
    try:
        return jax.block_until_ready(draws(law, n)(key))
    except eqx.EquinoxRuntimeError as error:
        print(f"no draws: {error}", file=sys.stderr)
        return None


class InChart(eqx.Module):
    """Batches of points, in the coordinates of a chart."""

    chart: rgen.AbstractChart
    draw: Callable

    def __call__(self, key):
        return jax.vmap(self.chart.to_chart)(self.draw(key))


# The losses of a batch: `loss(law, x, key)`.


def score_matching_loss(
    loss: Callable,
    law: rgen.ScoreModel,
    x0: jax.Array,
    key: jax.Array,
    weight: Callable = rgen.losses.variance_weight,
    times: Callable = rgen.AbstractProcess.stratified_times,
) -> jax.Array:
    """The mean of a loss of [`rgen.losses`][] over `times(process, key, n)`."""
    # The arrays of its limit are no parameters.
    process = jax.lax.stop_gradient(law.process)
    time_key, noise_key = jr.split(key)
    t = times(process, time_key, len(x0))
    one = partial(loss, law.score, process)
    each = jax.vmap(one)(x0, t, jr.split(noise_key, len(x0)))
    return jnp.mean(jax.vmap(partial(weight, process))(t) * each)


denoising_loss = eqx.Partial(score_matching_loss, rgen.losses.denoising)


def ensemble_loss(law: rgen.ScoreModel, x0: jax.Array, key: jax.Array) -> jax.Array:
    """The sum of the denoising losses over the members of an ensemble, each with noise
    of its own."""
    assert isinstance(law.score, rgen.nn.Ensemble)
    with_score = lambda score: eqx.tree_at(lambda law: law.score, law, score)
    one = lambda member, key: denoising_loss(with_score(member), x0, key)
    keys = jr.split(key, law.score.size)
    return jnp.sum(eqx.filter_vmap(one)(law.score.members, keys))


def flow_matching_loss(law: rgen.Flow, x1: jax.Array, key: jax.Array) -> jax.Array:
    """The mean of the loss over times of which every second one is uniform, the others
    log-uniform in 1 - t, for it is at the end that a flow learns what is fine."""
    assert isinstance(law.field, rgen.nn.FlowField)
    time_key, loss_key = jr.split(key)
    n = len(x1)
    u = (jnp.arange(n) + jr.uniform(time_key, (n,))) / n
    finest = law.field.features.v_min**0.5
    t = jnp.where(jnp.arange(n) % 2 == 0, u, 1 - finest**u)
    one = partial(rgen.losses.flow_matching, law.field, law.base)
    return jnp.mean(jax.vmap(one)(x1, t, jr.split(loss_key, n)))


def likelihood_loss(law: rgen.Flow, x: jax.Array, key: jax.Array) -> jax.Array:
    return -jnp.mean(jax.vmap(law.log_prob)(x, jr.split(key, len(x))))


@eqx.filter_jit
def log_probs(log_prob: Callable, *args: jax.Array) -> jax.Array:
    """The log-densities at points, the first of `args`, with a key for each where there
    is a second. A block of them is evaluated at a time: a solver steps until the last
    of them is done. `log_prob` is a bound method or a module: a closure would be
    compiled at every call."""
    return jax.lax.map(lambda each: log_prob(*each), args, batch_size=BLOCK)


def nll(log_prob: Callable, x: jax.Array) -> float:
    """The mean of minus [`log_probs`][]."""
    return -float(jnp.mean(log_probs(log_prob, x)))
