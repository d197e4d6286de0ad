# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Baselines
#
# Four kinds of model learn the same distribution on the sphere. They are a score model,
# flow matching, a Moser flow, and a continuous normalizing flow (CNF) trained by
# maximum likelihood. All use one training step; only the loss changes. You see their
# densities and samples side by side, and what each costs to train, to sample and to
# evaluate.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
import time
from functools import partial

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax
from tqdm.auto import tqdm

import rgen


BLUE, RED = "#1f4e79", "#d1342f"
train_key, test_key, init_key, step_key, sample_key = jr.split(jr.key(0), 5)

# %% [markdown]
# ## A pinwheel on the sphere
#
# The arms are normal distributions in the tangent plane of the pole. They are rotated
# by an angle that depends on the radius, and mapped to the sphere by the exponential
# map. The rotation preserves area, and the exponential map scales it by $\sin r / r$,
# so the density is known. A distribution of your own needs two methods for one point:
# `log_prob` and `sample`.

# %%
sphere = rgen.Sphere(2)
pole = jnp.array([0.0, 0.0, 1.0])
ARMS, CENTRE, SPREAD, TWIST = 5, 0.9, jnp.array([0.3, 0.09]), 1.5


def rotate(angle, y):
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([c * y[0] - s * y[1], s * y[0] + c * y[1]])


class Pinwheel(rgen.AbstractDistribution):
    @property
    def manifold(self):
        return sphere

    def log_prob(self, x):
        v = sphere.log(pole, x)
        y = rotate(-TWIST * sphere.norm(pole, v), v[:2])

        def arm(angle):
            z = (rotate(-angle, y) - jnp.array([CENTRE, 0.0])) / SPREAD
            return -jnp.sum(z**2) / 2

        each = jax.vmap(arm)(jnp.arange(ARMS) * 2 * jnp.pi / ARMS)
        log_p = jax.nn.logsumexp(each) - jnp.log(ARMS * 2 * jnp.pi * jnp.prod(SPREAD))
        return log_p - sphere.log_det_exp(pole, v)

    def sample(self, key):
        arm_key, key = jr.split(key)
        angle = jr.randint(arm_key, (), 0, ARMS) * 2 * jnp.pi / ARMS
        y = jnp.array([CENTRE, 0.0]) + SPREAD * jr.normal(key, (2,))
        y = rotate(angle + TWIST * jnp.linalg.norm(y), y)
        return sphere.exp(pole, jnp.append(y, 0.0))


truth = Pinwheel()
train = rgen.sample(truth, train_key, 20_000)
test = rgen.sample(truth, test_key, 2_048)

# %% [markdown]
# ## Four losses
#
# Each loss takes a field, a data point, a time in $[0, 1]$ and a key. The Moser flow
# and the CNF ignore the time. Maximum likelihood solves an ODE and differentiates
# through it in every training step. A coarse tolerance keeps that affordable. A fixed
# grid of a few steps doesn't work: training then exploits the error of the solver.

# %%
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(v_min=1e-3))
uniform = rgen.Uniform(sphere)
coarse = diffrax.PIDController(rtol=1e-2, atol=1e-2)


def score_loss(field, x, t, key):
    weight = rgen.losses.variance_weight
    return rgen.losses.denoising(field, process, x, t, key, weight)


def flow_matching_loss(field, x, t, key):
    return rgen.losses.flow_matching(field, uniform, x, t, key)


def moser_loss(field, x, t, key):
    return rgen.MoserFlow(sphere, field).loss(x, key, penalty=10.0)


def likelihood_loss(field, x, t, key):
    flow = rgen.Flow(uniform, field, stepsize_controller=coarse, max_steps=64)
    return -flow.log_prob(x)


# %% [markdown]
# ## One training step
#
# All runs use the same network size, optimiser and batches. A step of the Moser flow or
# of the CNF takes longer, so they get fewer steps.

# %%
size = dict(width=64, depth=2, frequencies=32, max_frequency=8.0)
score_field = rgen.nn.ScoreField(process, key=init_key, **size)
flow_field = rgen.nn.FlowField(sphere, v_min=1e-2, key=init_key, **size)
batch = 256


@eqx.filter_jit
def step(field, state, optim, loss, key):
    batch_key, time_key, loss_key = jr.split(key, 3)
    x = rgen.datasets.minibatch(batch_key, train, batch)
    t = process.stratified_times(time_key, batch)

    def batch_loss(field):
        losses = jax.vmap(partial(loss, field))(x, t, jr.split(loss_key, batch))
        return jnp.mean(losses)

    value, grads = eqx.filter_value_and_grad(batch_loss)(field)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(field, updates), state, value


def fit(name, field, loss, steps):
    optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    state = optim.init(eqx.filter(field, eqx.is_inexact_array))
    step(field, state, optim, loss, step_key)  # compiles, and is not timed
    curve, start = [], time.perf_counter()
    for key in tqdm(jr.split(step_key, steps), desc=name):
        field, state, value = step(field, state, optim, loss, key)
        curve.append(value)
    jax.block_until_ready(field)
    return field, np.array(curve), time.perf_counter() - start


runs = {
    "score model": (score_field, score_loss, 3_000),
    "flow matching": (flow_field, flow_matching_loss, 3_000),
    "Moser flow": (flow_field, moser_loss, 1_200),
    "CNF": (flow_field, likelihood_loss, 80),
}
fitted = {name: fit(name, *run) for name, run in runs.items()}

# %% [markdown]
# The losses have different units, so compare no values between panels. The CNF's loss
# is a negative log-likelihood; the Moser flow's is one up to a constant and the
# penalty.

# %%
figure, axes = plt.subplots(1, 4, figsize=(12, 2.6), layout="constrained")
for ax, (name, (_, curve, _)) in zip(axes, fitted.items(), strict=True):
    rgen.plot.training_curve(ax, curve, window=max(10, len(curve) // 20))
    ax.set_title(name)
plt.show()

# %% [markdown]
# ## Likelihood and cost
#
# All four are distributions: `rgen.log_prob_and_cost` and `rgen.sample_and_cost` give
# values and network evaluations (NFE). All ODE solvers use one tolerance. Each
# evaluation for a density includes the divergence of the field, and so does each one
# for a sample of the Moser flow.

# %%
controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
field = {name: result[0] for name, result in fitted.items()}
models = {
    "score model": rgen.ScoreModel(
        field["score model"],
        process,
        flow=rgen.ProbabilityFlow(stepsize_controller=controller),
    ),
    "flow matching": rgen.Flow(
        uniform, field["flow matching"], stepsize_controller=controller
    ),
    "Moser flow": rgen.MoserFlow(
        sphere, field["Moser flow"], stepsize_controller=controller
    ),
    "CNF": rgen.Flow(uniform, field["CNF"], stepsize_controller=controller),
}

# Chunks of one size: each model is compiled once for all that follows.
log_prob = partial(rgen.log_prob, chunk_size=512)
log_truth, samples = log_prob(truth, test), {"truth": test}
print(f"{'':<15}{'NLL':>8}{'KL':>8}{'steps':>7}{'train s':>9}{'ms a step':>11}"
      f"{'NFE sample':>12}{'NFE density':>13}")  # fmt: skip
print(f"{'truth':<15}{-jnp.mean(log_truth):8.3f}{0:8.3f}")
for name, model in models.items():
    log_p, density_cost = rgen.log_prob_and_cost(model, test, chunk_size=512)
    samples[name], cost = rgen.sample_and_cost(model, sample_key, len(test))
    known = ~jnp.isnan(log_p)
    nll = -jnp.mean(log_p[known])
    kl = jnp.mean((log_truth - log_p)[known])
    steps, seconds = runs[name][2], fitted[name][2]
    print(f"{name:<15}{nll:8.3f}{kl:8.3f}{steps:7d}{seconds:9.1f}"
          f"{1e3 * seconds / steps:11.1f}{jnp.mean(cost.evaluations):12.0f}"
          f"{jnp.mean(density_cost.evaluations):13.0f}"
          + ("" if jnp.all(known) else f"   without {jnp.sum(~known)} of {len(test)}")
         )  # fmt: skip
print(f"{'uniform':<15}{sphere.log_volume:8.3f}"
      f"{sphere.log_volume + jnp.mean(log_truth):8.3f}")  # fmt: skip

# %% [markdown]
# NLL is the mean negative log-likelihood of held-out points in nats, and KL its
# difference from that of the truth. The score model's densities are those of the data
# with noise of variance 0.001. A Moser flow may have a negative density, where its
# log-density is NaN; the table says how many held-out points are left out for this
# reason.

# %% [markdown]
# ## Densities and samples
#
# The globes show the hemisphere around the pole. All densities share one colour scale.

# %%
globe = rgen.plot.Orthographic(latitude=90.0)
pixels = 70
grid = rgen.plot.grid(globe, pixels)
shown = {"truth": truth, **models}
figure, axes = plt.subplots(2, 5, figsize=(12, 5.6), layout="constrained")
images = []
for column, (name, model) in zip(axes.T, shown.items(), strict=True):
    for ax in column:
        rgen.plot.frame(ax, globe)
    images.append(rgen.plot.density(column[0], globe, log_prob(model, grid), pixels))
    color = BLUE if name == "truth" else RED
    rgen.plot.points(column[1], globe, samples[name], color, size=2)
    column[0].set_title(name)
bar = rgen.plot.color_bar(list(axes.ravel()), images)
plt.show()

# %% [markdown]
# ## Mass where there should be none
#
# The NLL of held-out points says little about places without data. For each density we
# estimate the mass outside the pinwheel's 99.9 % highest-density region by a sum over
# uniform points. We also estimate the negative mass of the Moser flow.

# %%
everywhere = rgen.sample(uniform, jr.key(1), 8_192)
area = 4 * jnp.pi / len(everywhere)
threshold = jnp.quantile(log_truth, 0.001)
outside = log_prob(truth, everywhere) < threshold
for name, model in models.items():
    if isinstance(model, rgen.MoserFlow):
        p = jax.vmap(model.ratio)(everywhere) / (4 * jnp.pi)
    else:
        p = jnp.exp(log_prob(model, everywhere))
    outer = jnp.sum(jnp.where(outside, jnp.maximum(p, 0), 0)) * area
    negative = jnp.sum(jnp.minimum(p, 0)) * area
    print(f"{name:<15} outside {outer:8.4f}   negative {negative:8.4f}")

# %% [markdown]
# ## What to change first
#
# - The steps of the CNF: with ten times as many it is competitive, at many times the
#   training time of the others.
# - `penalty` of the Moser flow: a larger one gives less negative mass, at some cost in
#   likelihood.
# - `sampler=rgen.ProbabilityFlow()` of the score model: fewer evaluations per sample
#   than the 200 steps of the reverse SDE.
# - `base` of the flows: `rgen.VonMisesFisher(pole, 1.0)` starts closer to the data.
# - The data: `rgen.datasets.populated_places()` has finer scales. It needs a smaller
#   `v_min`, more frequencies and a wider network.
