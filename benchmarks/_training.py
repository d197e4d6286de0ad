"""The training of the neural models that are compared: the same for all."""

import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from tqdm import tqdm

import rgen


SELECTIONS = 4


def train(
    model: Any,
    loss: Callable,
    data: jax.Array,
    evaluate: Callable,
    key: jax.Array,
    *,
    steps: int,
    batch: int = 512,
    rate: float = 3e-3,
    decay: float = 1.5e-3,
) -> tuple[Any, float, float]:
    """The model whose `evaluate`, the NLL on validation, is lowest among averages over
    the steps that are seen at equal intervals in the second half of training; that NLL,
    and the wall-clock seconds of it all.

    `loss(model, x0, key)` is that of a batch.
    """
    start = time.perf_counter()
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, rate, min(200, steps // 10), steps
    )
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    average = model

    @eqx.filter_jit
    def step(data, model, average, state, i, key):
        batch_key, loss_key = jr.split(key)
        x0 = rgen.datasets.minibatch(batch_key, data, batch)
        value, grads = eqx.filter_value_and_grad(loss)(model, x0, loss_key)
        updates, state = optim.update(grads, state)
        model = eqx.apply_updates(model, updates)
        arrays, static = eqx.partition(model, eqx.is_inexact_array)
        before = eqx.filter(average, eqx.is_inexact_array)
        # The plain mean at first, so that nothing is left of the start.
        share = jnp.maximum(decay, 1 / (i + 1))
        average = eqx.combine(optax.incremental_update(arrays, before, share), static)
        return model, average, state, value

    best, best_nll = average, float("inf")
    every = max(1, steps // (2 * SELECTIONS))
    for i, step_key in enumerate(tqdm(jr.split(key, steps), disable=None)):
        model, average, state, _ = step(
            data, model, average, state, jnp.array(i), step_key
        )
        if i + 1 > steps // 2 and (steps - i - 1) % every == 0:
            nll = evaluate(average)
            if nll < best_nll:
                best, best_nll = average, nll
    if best_nll == float("inf"):
        raise FloatingPointError(
            "train: expected a finite NLL on validation, got none. Lower `rate`."
        )
    return best, best_nll, time.perf_counter() - start


@eqx.filter_jit
def _log_probs(log_prob, x, block):
    return jax.lax.map(log_prob, x, batch_size=block)


def nll(log_prob: Callable, x: jax.Array, block: int = 1024) -> float:
    """The mean negative log-density of the points `x`, of which a block is evaluated at
    a time. `log_prob` is a bound method or a module: a closure would be compiled at
    every call."""
    return -float(jnp.mean(_log_probs(log_prob, x, block)))
