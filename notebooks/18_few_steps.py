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
# # Few steps
#
# By default a score model samples in 200 network evaluations. You will sample from the
# same score in 8 to 32, by a solver that knows what the noise does, and then distil a
# map from it that takes one. A two-sample test says which samples can be told from the
# data.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import optax
from tqdm.auto import tqdm

import rgen


# %% [markdown]
# ## A score
#
# The populated places and the model of "Where people live", at a noise level of 200 km
# and trained for a shorter time.

# %%
data = rgen.datasets.populated_places()
keys = jr.split(jr.key(0), 8)
train, validation, test = rgen.datasets.random_split(keys[0], data)

sphere = rgen.Sphere(2)
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(1e-3))
size = dict(width=128, depth=3, frequencies=128, max_frequency=30.0, damping=0.25)


def denoising_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


def fit(field, loss, key, steps, label, batch=512):
    """The field after training, averaged over the last steps, and its losses."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    state = optim.init(eqx.filter(field, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(field, average, state, key):
        batch_key, loss_key = jr.split(key)
        x0 = rgen.datasets.minibatch(batch_key, train, batch)
        value, grads = eqx.filter_value_and_grad(loss)(field, x0, loss_key)
        updates, state = optim.update(grads, state)
        field = eqx.apply_updates(field, updates)
        arrays, static = eqx.partition(field, eqx.is_inexact_array)
        before = eqx.filter(average, eqx.is_inexact_array)
        average = eqx.combine(optax.incremental_update(arrays, before, 5e-3), static)
        return field, average, state, value

    average, losses = field, []
    for step_key in tqdm(jr.split(key, steps), desc=label):
        field, average, state, value = step(field, average, state, step_key)
        losses.append(value)
    return average, losses


score = rgen.nn.ScoreField(process, **size, key=keys[1])
score, score_losses = fit(score, denoising_loss, keys[2], 3000, "score")

# %% [markdown]
# ## Better steps on the same field
#
# `rgen.ReverseSDE` walks: its error falls with the number of steps, and so does the
# noise of the last one. `rgen.FewSteps` solves the probability flow, which has no
# noise. On the clock of the noise level $\sigma$ the score pulls a point straight to
# where it is denoised, and a solver errs only where that place moves; the multistep
# solver extrapolates its motion from one step to the next.
#
# The test is `rgen.metrics.permutation_test` between 700 samples and 700 places that
# were held out: a p-value near 0 says that these are not samples of one distribution.
# It looks at differences of about 1.8 and 6 degrees, the square roots of two variances.
# Samples have noise of 1.8 degrees, where the process begins; so the places get it too.
# Other places, with the same noise, are what a perfect model would draw.

# %%
variances = jnp.array([1e-3, 1e-2])
n = 700


def with_noise(x, key):
    t0 = jnp.array(process.schedule.t0)
    return jax.vmap(process.sample, (0, None, 0))(x, t0, jr.split(key, len(x)))


places, others = with_noise(test[:n], keys[6]), with_noise(validation[:n], keys[7])


def p_value(samples):
    test = rgen.metrics.permutation_test(sphere, samples, places, variances, keys[3])
    return float(test.p_value)


counts = [4, 8, 16, 32, 64]
samplers = {"reverse SDE": rgen.ReverseSDE, "few steps": rgen.FewSteps}
p_values = {
    name: [
        p_value(rgen.sample(rgen.ScoreModel(score, process, make(count)), keys[3], n))
        for count in counts
    ]
    for name, make in samplers.items()
}
print(f"{'evaluations':<14}", *(f"{count:>7}" for count in counts))
for name, row in p_values.items():
    print(f"{name:<14}", *(f"{p:7.3f}" for p in row))
print(f"other places: {p_value(others):.3f}")

# %% [markdown]
# The flow needs eight evaluations here, and the walk sixteen. From there on a p-value
# is one draw of a random number: it does not say which of two samplers is better.

# %% [markdown]
# ## A map
#
# A flow map leads from one time of the flow to another, $X_{s,t}(x) = \exp_x((t - s)\,
# v(x, s, t))$, with noise at time 0 and data at time 1. Its field has two times, and
# the Lagrangian loss asks that where the map leads, it moves with the velocity of the
# flow: here that of the score, which is its teacher. Half of the maps start at noise,
# as all samples do.
#
# Between two regions the flow is steep, and a network smooths that. By the squared
# error it would place points between them; by its root, most of them in one of the two.
# With the small number the loss is quadratic near 0.


# %%
velocity = rgen.FlowVelocity(process, score)


def distillation_loss(field, x0, key):
    time_key, noise_key = jr.split(key)
    size = len(x0)
    s, t = jnp.sort(jr.uniform(time_key, (2, size)), axis=0)
    s = jnp.where(jnp.arange(size) % 2 == 0, 0, s)
    loss = partial(rgen.losses.lagrangian, field, velocity, process)
    squared = jax.vmap(loss)(x0, s, t, jr.split(noise_key, size))
    return jnp.mean(jnp.sqrt(squared + 0.1**2))


field = rgen.nn.FlowMapField(process, **size, key=keys[4])
field, map_losses = fit(field, distillation_loss, keys[5], 4000, "map")

one_step = rgen.FlowMap(process.prior, field)
two_steps = rgen.FlowMap(process.prior, field, (0.0, 0.5, 1.0))
noise_between = rgen.ConsistencyModel(process, field, (0.0, 0.5, 1.0))
maps = {"one step": one_step, "two": two_steps, "two with noise between": noise_between}
for name, model in maps.items():
    print(f"p-value of {name}: {p_value(rgen.sample(model, keys[3], n)):.3f}")

# %% [markdown]
# One step is one evaluation. A consistency model takes two with the same map: the first
# leads to data, which get the noise of the middle time, and the second leads from there
# to data again. That noise hides the small errors of the first step. The two half steps
# of a flow map should end where one does; where they do not, the map is not yet that of
# a flow.

# %%
apart = jax.vmap(sphere.dist)(
    rgen.sample(one_step, keys[3], 1000), rgen.sample(two_steps, keys[3], 1000)
)
degrees = jnp.rad2deg(jnp.quantile(apart, jnp.array([0.5, 0.9])))
print(f"one step and two end {degrees[0]:.1f} degrees apart, nine in ten below "
      f"{degrees[1]:.1f}")  # fmt: skip

# %% [markdown]
# ## The density of what is drawn
#
# A map that is one-to-one has the density of its samples by the change of variables,
# from one evaluation and its derivative. Beside it is the density of the score model at
# the same points, which takes about sixty.

# %%
draw = eqx.filter_jit(eqx.filter_vmap(one_step.sample_and_log_prob))
drawn, log_p = draw(jr.split(keys[3], 500))
teacher = rgen.log_prob(rgen.ScoreModel(score, process), drawn)
difference = jnp.abs(log_p - teacher)
print(f"log-density of a draw: {jnp.mean(log_p):.2f} by the map, "
      f"{jnp.mean(teacher):.2f} by the score")  # fmt: skip
print(f"the median difference is {jnp.median(difference):.2f} nats")

# %% [markdown]
# ## Pictures

# %%
plot = rgen.plot
globe = plot.Orthographic(longitude=20.0, latitude=25.0)
coarse = rgen.ScoreModel(score, process, rgen.ReverseSDE(8))
shown = {
    "reverse SDE, 8 evaluations": rgen.sample(coarse, keys[3], n),
    "map, 1 evaluation": rgen.sample(one_step, keys[3], n),
    "places held out, with noise": places,
}
figure, axes = plt.subplots(1, 3, figsize=(12, 4.5), layout="constrained")
for ax, (name, points) in zip(axes, shown.items(), strict=True):
    plot.frame(ax, globe)
    plot.coastlines(ax, globe)
    plot.points(ax, globe, points, "#1f4e79" if points is places else "#d1342f")
    ax.set_title(name)
plt.show()

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
for name, row in p_values.items():
    axes[0].plot(counts, row, "o-", label=name)
axes[0].axhline(0.05, color="gray", linestyle="dotted")
axes[0].set(xscale="log", xticks=counts, xticklabels=counts)
axes[0].xaxis.set_minor_locator(plt.NullLocator())
axes[0].set(xlabel="network evaluations", ylabel="p-value", ylim=(0, 1))
axes[0].legend()
plot.training_curve(axes[1], score_losses, label="score")
plot.training_curve(axes[1], map_losses, color="#d1342f", label="map")
axes[1].legend()
plt.show()

# %% [markdown]
# ## What to change first
#
# - **The solver.** `rgen.FewSteps(n, solver)` takes any Diffrax solver of an ODE, such
#   as `rgen.NoiseClock(rgen.GeodesicHeun(sphere), process.schedule)`.
# - **The teacher.** With `own = rgen.DiagonalVelocity(field)` for the velocity, and the
#   denoising loss of `rgen.FlowScore(process, own)` added, the map learns from the data
#   alone.
# - **The loss.** `rgen.losses.semigroup`, with the diagonal trained beside it.
# - **Both orders.** For the density of given points, `log_prob_and_error`, leave `s`
#   and `t` unsorted.
# - **The training.** More training steps bring the map closer to its teacher, and not
#   beyond it.
