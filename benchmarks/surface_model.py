"""What the steps of a random walk cost a model of a torus of revolution.

    python -m benchmarks.surface_model

The data have independent angles, each of a von Mises distribution, so that their
entropy is known. One JSON line for each retraction, number of steps of the walk and
loss: `nll`, the mean negative log-likelihood of 256 test points; `entropy`, that of the
truth on the same points; `uniform`, that of a model that has learnt nothing; `ratio`,
the standard deviation of a step at the largest variance over the smallest radius of
curvature; `step_ms`, the time of a training step.
"""

import json
import math
import time

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from scipy.stats import vonmises

import rgen

from .retraction import CURVATURE_RADIUS, Torus


TORUS = Torus()  # pyright: ignore[reportCallIssue]
TRAINING_STEPS, BATCH, TEST = 1000, 128, 256
V_MIN, V_MAX = 1e-3, 5.0
# Concentrations of the angles around the axis, and around the tube.
AXIS, TUBE = 11.0, 1.5
# Steps that are far too long, and, for the projection, shorter ones.
CASES = [(rgen.Exponential(), (5,)), (rgen.ProjectionRetraction(), (5, 100))]
LOSSES = {"implicit": rgen.losses.implicit, "sliced": rgen.losses.sliced}


def data(n: int, seed: int) -> tuple[jax.Array, np.ndarray]:
    """Points, and the log-density of the truth at each."""
    rng = np.random.default_rng(seed)
    a, b = (vonmises.rvs(k, size=n, random_state=rng) for k in (AXIS, TUBE))
    r = 1 + np.cos(b) / 2
    x = np.stack([r * np.cos(a), r * np.sin(a), np.sin(b) / 2], 1)
    log_prob = vonmises.logpdf(a, AXIS) + vonmises.logpdf(b, TUBE) - np.log(r / 2)
    return jnp.asarray(x, float), log_prob


def trained(process, loss, x):
    """A score field, and the milliseconds of a step."""
    size = dict(width=64, depth=3, frequencies=32, max_frequency=4.0)
    score = rgen.nn.ScoreField(process, key=jr.key(0), **size)
    rate = optax.cosine_decay_schedule(1e-3, TRAINING_STEPS)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))

    def mean_loss(score, x0, key):
        t = process.stratified_times(key, BATCH)
        keys = jr.split(key, BATCH)
        one = lambda x0, t, key: loss(
            score, process, x0, t, key, weight=rgen.losses.variance_weight
        )
        return jnp.mean(jax.vmap(one)(x0, t, keys))

    @eqx.filter_jit
    def step(score, state, key):
        x0 = rgen.datasets.minibatch(key, x, BATCH)
        grads = eqx.filter_grad(mean_loss)(score, x0, key)
        updates, state = optim.update(grads, state)
        return eqx.apply_updates(score, updates), state

    state = optim.init(eqx.filter(score, eqx.is_array))
    first, *keys = jr.split(jr.key(1), TRAINING_STEPS)
    score, state = jax.block_until_ready(step(score, state, first))
    start = time.perf_counter()
    for key in keys:
        score, state = step(score, state, key)
    jax.block_until_ready(score)
    return score, 1e3 * (time.perf_counter() - start) / len(keys)


def main() -> None:
    x, _ = data(20_000, 0)
    test, log_prob = data(TEST, 1)
    controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
    flow = rgen.ProbabilityFlow(stepsize_controller=controller)
    for retraction, counts in CASES:
        solver = rgen.GeodesicRandomWalk(TORUS, retraction)
        for steps in counts:
            kernel = rgen.RandomWalkKernel(TORUS, steps=steps, solver=solver)
            schedule = rgen.LogUniformSchedule(V_MIN, V_MAX)
            process = rgen.Brownian(TORUS, schedule, kernel)
            for name, loss in LOSSES.items():
                score, step_ms = trained(process, loss, x)
                model = rgen.ScoreModel(score, process, flow=flow)
                nll = -float(jnp.mean(rgen.log_prob(model, test)))
                line = {
                    "benchmark": "surface_model",
                    "retraction": type(retraction).__name__,
                    "steps": steps,
                    "ratio": round(math.sqrt(V_MAX / steps) / CURVATURE_RADIUS, 2),
                    "loss": name,
                    "nll": round(nll, 3),
                    "entropy": round(-float(log_prob.mean()), 3),
                    "uniform": round(TORUS.log_volume, 3),
                    "step_ms": round(step_ms, 1),
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
