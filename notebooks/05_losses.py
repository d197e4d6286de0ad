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
# # The five losses of Table 2
#
# Seven losses learn the same score, and you see the bias, the variance and the cost of
# each. Table 2 of De Bortoli et al. (2022) lists five of them:
#
# - denoising with the heat kernel as a truncated series,
# - denoising with Varadhan's small-time approximation of the heat kernel,
# - denoising along one step of a random walk,
# - implicit score matching with the exact divergence,
# - implicit score matching with an estimate of the divergence.
#
# rgen adds denoising with the exact heat kernel, and the sliced loss. The true score of
# the problem is known.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from tqdm.auto import tqdm

import rgen


plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
init_key, eval_key, train_key, moment_key = jr.split(jr.key(0), 4)

# %% [markdown]
# ## A problem whose score is known
#
# The data are 24 equally likely points on a wave around the sphere. The distribution of
# the noised data is then a mixture of 24 heat kernels. Its score is the mean of the
# kernels' scores over the posterior of the data point: $\nabla\log p_t(x) = \mathbb
# E[\nabla_x\log p_{t|0}(x \mid x_0) \mid x_t = x]$.

# %%
sphere = rgen.Sphere(2)
kernel = rgen.heat_kernel(sphere)
schedule = rgen.LogUniformSchedule(v_min=1e-2, v_max=5.0)
process = rgen.Brownian(sphere, schedule)

longitude = jnp.arange(24) * 2 * jnp.pi / 24
latitude = 0.8 * jnp.sin(3 * longitude)
level = jnp.cos(latitude)
data = jnp.stack(
    [level * jnp.cos(longitude), level * jnp.sin(longitude), jnp.sin(latitude)], axis=1
)
train = jnp.tile(data, (100, 1))  # to sample batches from


def optimum(target, x, v):
    """The minimiser of a denoising loss: the mean target over the posterior of x0."""
    log_p = jax.vmap(kernel.log_prob, (0, None, None))(data, x, v)
    return jax.nn.softmax(log_p) @ jax.vmap(target, (0, None, None))(data, x, v)


true_score = partial(optimum, kernel.score)

# %% [markdown]
# The figure shows the density and the score of the noised data at three variances, in
# square radians. Each globe has its own arrow scale.

# %%
world = rgen.plot.Orthographic(longitude=20.0, latitude=25.0)
pixels = 120
grid = rgen.plot.grid(world, pixels)
places = rgen.plot.grid(world, 14)
figure, axes = plt.subplots(1, 3, figsize=(11, 5.0), layout="constrained")
scores = jax.jit(jax.vmap(true_score, (0, None)))
images = []
for ax, v in zip(axes, jnp.array([0.01, 0.1, 1.0]), strict=True):
    mixture = rgen.KernelMixture(kernel, data, v[None], jnp.zeros(1))
    rgen.plot.frame(ax, world)
    log_p = rgen.log_prob(mixture, grid)
    images.append(rgen.plot.density(ax, world, log_p, pixels))
    rgen.plot.arrows(ax, world, places, scores(places, v))
    ax.set_title(f"variance {v:.2f}")
bar = rgen.plot.color_bar(list(axes), images)
plt.show()

# %% [markdown]
# ## Bias of the optimum
#
# Each denoising loss is minimised by the posterior mean of its target. So we can
# compute what it learns in the limit without training. Denoising along one step uses
# the last of $K$ steps of a random walk, from $x_s = y$ to $x$ with the variance
# $\delta = v/K$. Its transition density is symmetric in $x$ and $y$, so the minimiser
# is an expectation over normal $\xi$. A Gauss-Hermite rule computes it:
#
# $$s^*(x) = \frac{\mathbb E[\xi\, p_{v-\delta}(\exp_x \sqrt\delta\,\xi)]}
# {\sqrt\delta\; \mathbb E[p_{v-\delta}(\exp_x \sqrt\delta\,\xi)]}.$$
#
# The implicit and sliced losses have no bias: by integration by parts, the true score
# minimises them.

# %%
nodes, node_weights = np.polynomial.hermite_e.hermegauss(5)
normal = jnp.array([[a, b] for a in nodes for b in nodes])
log_weights = jnp.log(jnp.array([a * b for a in node_weights for b in node_weights]))


def step_optimum(steps, x, v):
    delta = v / steps
    xi = normal @ sphere.basis(x)
    y = jax.vmap(partial(sphere.exp, x))(jnp.sqrt(delta) * xi)
    log_kernels = jax.vmap(jax.vmap(kernel.log_prob, (0, None, None)), (None, 0, None))(
        data, y, v - delta
    )
    log_p = jax.nn.logsumexp(log_kernels, axis=1)
    return jax.nn.softmax(log_p + log_weights) @ xi / jnp.sqrt(delta)


truncated = {J: rgen.TruncatedHeatKernel(sphere, J) for J in (5, 10, 20)}
varadhan = rgen.VaradhanHeatKernel(sphere)
optima = {
    **{f"series, J = {J}": partial(optimum, k.score) for J, k in truncated.items()},
    "Varadhan": partial(optimum, varadhan.score),
    "step, K = 10": partial(step_optimum, 10),
    "step, K = 100": partial(step_optimum, 100),
}
variances = jnp.geomspace(3e-3, 2.0, 13)


@jax.jit
def relative_bias(v, key):
    """Root mean square of each error over that of the score, at noised data."""
    index_key, noise_key = jr.split(key)
    x0 = rgen.datasets.minibatch(index_key, train, 128)
    x = jax.vmap(kernel.sample, (0, None, 0))(x0, v, jr.split(noise_key, 128))
    everywhere = lambda field: jax.vmap(field, (0, None))(x, v)
    truth = everywhere(true_score)
    relative = lambda s: jnp.sqrt(jnp.mean((s - truth) ** 2) / jnp.mean(truth**2))
    return {name: relative(everywhere(learnt)) for name, learnt in optima.items()}


each = [relative_bias(v, eval_key) for v in variances]
bias = {name: np.array([row[name] for row in each]) for name in optima}

# %%
colors = {
    "exact kernel": "#1f4e79",
    "series, J = 5": "#e3b23c",
    "series, J = 10": "#c98b1d",
    "series, J = 20": "#8f5f0b",
    "Varadhan": "#d1342f",
    "step, K = 10": "#a9a9a9",
    "step, K = 100": "#5a5a5a",
    "implicit": "#2f7f6f",
    "implicit, Hutchinson": "#7ec3bf",
    "sliced": "#8e5ea2",
}
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, value in bias.items():
    ax.loglog(variances, value, "o-", color=colors[name], label=name, markersize=3)
ax.set_ylim(1e-6, 30)
ax.set_xlabel("variance of the noise (square radians)")
ax.set_ylabel("relative RMS error of the optimum")
ax.set_title("What each loss learns in the end")
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# The series fails below $v \approx 1/J^2$, where the omitted terms matter. Varadhan's
# approximation holds for $v \to 0$, and fails once the noise reaches around the sphere.
# The bias of denoising along one step falls with the length of the step. The exact
# kernel has only rounding error and needs no such choice.

# %% [markdown]
# ## The same training step for all
#
# All runs share the network, the optimiser and the random key; only the loss changes.
# The step takes the times as an argument, and also returns the gradient for the next
# section. The error is $\mathbb E\, w(t)\,|s(x_t, t) - \nabla\log p_t(x_t)|^2$ over
# times and noised data, with the loss's own weight. This weight makes the exact loss of
# order one at every time.

# %%
denoising = rgen.losses.denoising
with_series = rgen.Brownian(sphere, schedule, kernel=truncated[5])
with_varadhan = rgen.Brownian(sphere, schedule, kernel=varadhan)
hutchinson = rgen.HutchinsonDivergence()
losses = {
    "exact kernel": (denoising, process),
    "series, J = 5": (denoising, with_series),
    "Varadhan": (denoising, with_varadhan),
    "step, K = 100": (partial(rgen.losses.denoising_step, steps=100), process),
    "implicit": (rgen.losses.implicit, process),
    "implicit, Hutchinson": (
        partial(rgen.losses.implicit, divergence=hutchinson),
        process,
    ),
    "sliced": (rgen.losses.sliced, process),
}
steps, batch, every = 500, 256, 50
optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
fresh = rgen.nn.ScoreField(
    process, width=64, depth=2, frequencies=32, max_frequency=6.0, key=init_key
)


def batch_loss(score, loss, process, x0, t, key):
    one = partial(loss, score, process, weight=rgen.losses.variance_weight)
    return jnp.mean(jax.vmap(one)(x0, t, jr.split(key, len(x0))))


@eqx.filter_jit
def step(score, state, loss, process, t, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, train, len(t))
    value, grads = eqx.filter_value_and_grad(batch_loss)(
        score, loss, process, x0, t, loss_key
    )
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, value, ravel_pytree(grads)[0]


time_key, index_key, noise_key = jr.split(eval_key, 3)
stratified = jax.jit(process.stratified_times, static_argnums=1)
t = stratified(time_key, 2048)
x0 = rgen.datasets.minibatch(index_key, train, 2048)
x = jax.vmap(process.sample)(x0, t, jr.split(noise_key, 2048))
truth = jax.jit(jax.vmap(true_score))(x, jax.vmap(schedule.variance)(t))
weight = jax.vmap(partial(rgen.losses.variance_weight, process))(t)


@eqx.filter_jit
def score_error(score):
    return jnp.mean(weight * jnp.sum((jax.vmap(score)(x, t) - truth) ** 2, axis=1))


curves, trained = {}, {}
for name, (loss, noising) in tqdm(losses.items(), desc="losses"):
    score, curve = fresh, [score_error(fresh)]
    state = optim.init(eqx.filter(score, eqx.is_inexact_array))
    for i, key in enumerate(jr.split(train_key, steps)):
        t_key, step_key = jr.split(key)
        times = stratified(t_key, batch)
        score, state, value, grads = step(score, state, loss, noising, times, step_key)
        if (i + 1) % every == 0:
            curve.append(score_error(score))
    curves[name], trained[name] = np.array(curve), score

# %% [markdown]
# ## Variance of the gradient
#
# We fix the network that the exact loss has trained. At several noise levels we compute
# the gradient of each loss with respect to all parameters, for 64 batches each. The
# left panel shows the total variance of this gradient over batches, as a ratio to that
# of the exact denoising loss.
#
# The right panel shows the bias: the distance of the mean gradient from that of the
# exact loss, divided by its standard error. A value near one means that these batches
# show no bias.

# %%
score = trained["exact kernel"]
state = optim.init(eqx.filter(score, eqx.is_inexact_array))
levels = jnp.geomspace(0.012, 4.8, 7)
batches = 64


def moments(loss, noising, v, key):
    """The mean of the gradient of a batch, and its total variance."""
    times = jnp.full(batch, schedule.time(v))
    keys = jr.split(key, batches)
    grads = jnp.stack([step(score, state, loss, noising, times, k)[3] for k in keys])
    return jnp.mean(grads, axis=0), jnp.sum(jnp.var(grads, axis=0))


stats = {}
for name in tqdm(losses, desc="gradients"):
    keys = jr.split(jr.fold_in(moment_key, len(stats)), len(levels))
    each = [moments(*losses[name], v, k) for v, k in zip(levels, keys, strict=True)]
    stats[name] = [jnp.stack(a) for a in zip(*each, strict=True)]

base_mean, base_variance = stats["exact kernel"]
variance_ratio, z = {}, {}
for name, (mean, variance) in stats.items():
    variance_ratio[name] = np.asarray(variance / base_variance)
    standard_error = jnp.sqrt((variance + base_variance) / batches)
    z[name] = np.asarray(jnp.linalg.norm(mean - base_mean, axis=1) / standard_error)

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for name in losses:
    style = dict(color=colors[name], label=name, markersize=3)
    axes[0].loglog(levels, variance_ratio[name], "o-", **style)
    if name != "exact kernel":
        axes[1].loglog(levels, z[name], "o-", **style)
axes[1].axhline(1, color="black", linestyle=":", linewidth=1)
axes[0].set_ylabel("variance of the gradient / that of the exact kernel")
axes[0].set_title("Variance")
axes[1].set_ylabel("distance of mean gradients / standard error")
axes[1].set_title("Bias: one is none")
for ax in axes:
    ax.set_xlabel("variance of the noise (square radians)")
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# At large noise the score decays exponentially, and so does the target of the exact
# kernel. The targets of Varadhan's approximation and of one step decay far more slowly.
# In the implicit losses the divergence is linear in the score and the other term
# quadratic, so the divergence dominates where the score is small. The mean gradients of
# these losses are right or nearly so, but their variance is many times larger. The
# target of one step has about $K$ times the variance of the exact one at every noise
# level. The bias of the series shows in the mean gradient; that of Varadhan's
# approximation is hidden in the noise of these batches.

# %% [markdown]
# ## Cost of a step
#
# We time all compiled steps in turn, so that other load on the machine slows all alike.
# The ratio to the exact denoising loss matters more than the milliseconds.

# %%
best = dict.fromkeys(losses, np.inf)
for _ in range(7):
    for name, (loss, noising) in losses.items():
        score, state = fresh, optim.init(eqx.filter(fresh, eqx.is_inexact_array))
        start = time.perf_counter()
        for key in jr.split(train_key, 10):
            out = step(score, state, loss, noising, times, key)
        jax.block_until_ready(out)
        best[name] = min(best[name], (time.perf_counter() - start) / 10)

# %% [markdown]
# ## Summary
#
# The error is the last value of each training curve. The variance is the geometric mean
# of the variance ratio over the noise levels.

# %%
print(f"{'':<22}{'error':>9}{'variance':>10}{'ms a step':>11}{'cost':>7}")
for name in losses:
    ratio = np.exp(np.mean(np.log(variance_ratio[name])))
    cost = best[name] / best["exact kernel"]
    print(f"{name:<22}{curves[name][-1]:9.3f}{ratio:10.1f}"
          f"{1e3 * best[name]:11.2f}{cost:7.2f}")  # fmt: skip
print(f"{'zero field':<22}{curves['exact kernel'][0]:9.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
at = np.arange(len(curves["exact kernel"])) * every
for name, curve in curves.items():
    axes[0].plot(at, curve, color=colors[name], label=name)
    axes[1].plot(at * best[name], curve, color=colors[name])
axes[0].set_ylim(0)
axes[0].set_xlabel("step")
axes[1].set_xlabel("time of the steps (s)")
axes[0].set_ylabel("weighted squared error of the score")
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Where the heat kernel is known, use the exact denoising loss: it has no bias and the
# smallest error here, and no other loss saves more than about half of the time of a
# step. Without a heat kernel, use the implicit loss in low dimension. Where the
# dimension makes the exact divergence expensive, use Hutchinson's divergence or the
# sliced loss. Denoising along one step needs many more or larger batches than these.

# %% [markdown]
# ## What to change first
#
# - `v_min`: at $10^{-3}$ a series needs $J = 30$ or more, and Varadhan's approximation
#   is better.
# - `terms` of the trained series, 5 here: with 20 its bias is negligible at these noise
#   levels.
# - `steps` of `denoising_step`: fewer steps have less variance and more bias.
# - The manifold: `rgen.Sphere(10)`, where the exact divergence costs five times as many
#   tangent vectors.
# - The weight: with `rgen.losses.likelihood_weight` the loss bounds the
#   Kullback-Leibler divergence.
