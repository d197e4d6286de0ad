"""Training and evaluation, the same for all models."""

import math
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from tqdm import tqdm

import rgen


SELECTIONS = 8
# Points whose densities are evaluated at a time.
BLOCK = 256


class Trained(NamedTuple):
    """A model, the wall-clock seconds of it all, with compilation and evaluations, and
    the median milliseconds of a step, where there are steps."""

    model: Any
    seconds: float
    step_ms: float | None = None


def train(
    model: Any,
    loss: Callable,
    sample_batch: Callable,
    key: jax.Array,
    *,
    steps: int,
    candidate: Callable | None = None,
    rate: float = 3e-3,
    optimiser: Callable[..., optax.GradientTransformation] = optax.adam,
) -> Trained:
    """The average of the model over about the last tenth of the steps: step i has the
    weight i^9. With `candidate`, which turns an average into the model to be tested and
    its validation NLL, the best of eight such models, at equal intervals.

    The `rate` of the `optimiser` rises and falls again, to zero.

    `sample_batch(key)`, an `eqx.Partial` or another module, returns a batch of data,
    and `loss(model, x0, key)` its loss.
    """
    start = time.perf_counter()
    warmup = min(200, steps // 10)
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warmup, steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optimiser(schedule))
    state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    average = model

    @eqx.filter_jit
    def step(sample_batch, model, average, state, i, key):
        batch_key, loss_key = jr.split(key)
        _, grads = eqx.filter_value_and_grad(loss)(
            model, sample_batch(batch_key), loss_key
        )
        weights = eqx.filter(model, eqx.is_inexact_array)
        updates, state = optim.update(grads, state, weights)
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
                sample_batch, model, average, state, jnp.array(i), step_key
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
    finite = [(model, nll) for model, nll in found if math.isfinite(nll)]
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


def samples_of(model: rgen.AbstractDistribution, n: int) -> Callable:
    """Batches of `n` samples of a distribution."""
    return eqx.Partial(_samples, model=model, n=n)


@eqx.filter_jit
def _samples(key, model, n):
    return jax.vmap(model.sample)(jr.split(key, n))


def samples_or_none(
    model: rgen.AbstractDistribution, n: int, key: jax.Array
) -> jax.Array | None:
    """`n` samples of a distribution, or `None` if its sampler fails: that must not lose
    the likelihoods of a long training."""
    try:
        return jax.block_until_ready(samples_of(model, n)(key))
    except eqx.EquinoxRuntimeError as error:
        print(f"no samples: {error}", file=sys.stderr)
        return None


class InChart(eqx.Module):
    """Batches of points, in the coordinates of a chart."""

    chart: rgen.AbstractChart
    sample_batch: Callable

    def __call__(self, key):
        return jax.vmap(self.chart.to_chart)(self.sample_batch(key))


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
