"""How exact a density is, by the number of network evaluations that it takes.

    python -m benchmarks.density_steps

A score on S^2 is trained for a minute on a mixture of sixteen von Mises-Fisher
distributions, with concentrations from 10 to 1,000. The densities of 512 points of the
target are computed by several solvers, with adaptive and with fixed steps, and compared
with a solution in float64 at a tolerance of 1e-10. One line of JSON for each: the mean
and the largest number of evaluations, of errors in nats, and the seconds of a call.
"""

import functools
import json
import statistics
import time

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import rgen


POINTS, ROUNDS, STEPS, BATCH = 512, 3, 4000, 512
S2 = rgen.Sphere(2)
PROCESS = rgen.Brownian(S2, rgen.LogUniformSchedule(1e-4))

ADAMS = rgen.AdamsBashforthMoulton()
ADAPTIVE = {"Tsit5": diffrax.Tsit5(), "Dopri8": diffrax.Dopri8(), "Adams": ADAMS}
# About 30 to 240 evaluations.
FIXED = {
    "Bosh3": (diffrax.Bosh3(), (10, 20, 40)),
    "Tsit5": (diffrax.Tsit5(), (5, 10, 20, 40)),
    "Adams": (ADAMS, (30, 60, 120)),
}


def target():
    means = jax.vmap(S2.uniform)(jr.split(jr.key(0), 16))
    concentrations = jnp.geomspace(10.0, 1e3, 16)
    modes = eqx.filter_vmap(rgen.VonMisesFisher)(means, concentrations)
    return rgen.Mixture(modes, jnp.zeros(16))


def trained(truth):
    field = rgen.nn.ScoreField(PROCESS, width=128, max_frequency=50.0, key=jr.key(1))
    schedule = optax.cosine_decay_schedule(2e-3, STEPS)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    @eqx.filter_jit
    def step(score, state, key):
        data_key, time_key, key = jr.split(key, 3)
        x0 = eqx.filter_vmap(truth.sample)(jr.split(data_key, BATCH))
        t = PROCESS.stratified_times(time_key, BATCH)

        def loss(score):
            weight = rgen.losses.variance_weight
            one = functools.partial(
                rgen.losses.denoising, score, PROCESS, weight=weight
            )
            return jnp.mean(jax.vmap(one)(x0, t, jr.split(key, BATCH)))

        updates, state = optim.update(eqx.filter_grad(loss)(score), state)
        return eqx.apply_updates(score, updates), state

    state = optim.init(eqx.filter(field, eqx.is_inexact_array))
    for key in jr.split(jr.key(2), STEPS):
        field, state = step(field, state, key)
    return field


def adaptive(tolerance, solver, **coefficients):
    controller = diffrax.PIDController(tolerance, tolerance, **coefficients)
    return rgen.ProbabilityFlow(solver, controller)


def fixed(steps, solver):
    return rgen.ProbabilityFlow(solver, diffrax.StepTo(PROCESS.time_grid(steps)))


def flows():
    pi = dict(pcoeff=0.2, icoeff=0.4)
    yield "Tsit5, I controller", 1e-5, adaptive(1e-5, diffrax.Tsit5())
    for name, solver in ADAPTIVE.items():
        for tolerance in (1e-3, 1e-4, 1e-5):
            yield f"{name}, PI controller", tolerance, adaptive(tolerance, solver, **pi)
    for name, (solver, numbers) in FIXED.items():
        for steps in numbers:
            yield f"{name}, fixed steps", steps, fixed(steps, solver)


def exact(score, x):
    """The densities in float64."""
    with jax.enable_x64(True):
        double = lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a
        score, x = jax.tree.map(double, score), jax.vmap(S2.project)(double(x))
        flow = adaptive(1e-10, diffrax.Dopri8())
        return np.asarray(rgen.log_prob(rgen.ScoreModel(score, PROCESS, flow=flow), x))


def seconds(model, x):
    start = time.perf_counter()
    jax.block_until_ready(rgen.log_prob(model, x))
    return time.perf_counter() - start


def main():
    truth = target()
    score = trained(truth)
    x = rgen.sample(truth, jr.key(3), POINTS)
    reference = exact(score, x)
    for solver, setting, flow in flows():
        model = rgen.ScoreModel(score, PROCESS, flow=flow)
        log_prob, cost = rgen.log_prob_and_cost(model, x)
        error = np.abs(np.asarray(log_prob, np.float64) - reference)
        line = {
            "benchmark": "density_steps",
            "solver": solver,
            "setting": setting,
            "points": POINTS,
            "evaluations": round(float(jnp.mean(cost.evaluations)), 1),
            "most_evaluations": int(jnp.max(cost.evaluations)),
            "error": float(f"{error.mean():.2g}"),
            "worst_error": float(f"{error.max():.2g}"),
            "seconds": round(
                statistics.median(seconds(model, x) for _ in range(ROUNDS)), 3
            ),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
