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
# # Side chains given the backbone
#
# The side chain of a lysine is four angles, $\chi_1$ to $\chi_4$, a point of the torus
# $T^4$. Which of them are likely depends on the two angles of the backbone, $\phi$ and
# $\psi$. You will train a score model of $p(\chi \mid \phi, \psi)$, sample side chains
# for a helix and for a sheet, compare the held-out likelihood with that of a
# conditional kernel mixture, and check the calibration.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
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


BLUE, RED, INK = "#1f4e79", "#d1342f", "#2b2b2b"
plt.rcParams["figure.dpi"] = 100

# %% [markdown]
# ## Data
#
# Pairs of a side chain and a backbone, in radians. `group_split` takes the pair as one
# pytree, and keeps every protein chain in one part.

# %%
angles, chains = rgen.datasets.lysine()
pairs = angles[:, 2:], angles[:, :2]
split_key, *keys = jr.split(jr.key(0), 9)
train, validation, test = rgen.datasets.group_split(split_key, pairs, chains)
print(f"{len(train[0])} residues to train on, {len(test[0])} held out")

# %% [markdown]
# ## A conditional model
#
# The score field is that of the side chain at the noise level of the time $t$; the
# backbone is its condition, without noise. `PointFeatures` turns the condition, a point
# of $T^2$, into a vector for the network. The condition may be on another manifold than
# the samples.

# %%
torus, plane = rgen.Torus(4), rgen.Torus(2)
min_variance = 1e-3  # square radians: a standard deviation of 1.8 degrees
process = rgen.Brownian(torus, rgen.LogUniformSchedule(min_variance))
score = rgen.nn.ScoreField(
    process,
    width=192,
    depth=3,
    frequencies=0,
    embedding=rgen.nn.PointFeatures(plane),
    condition=plane.origin,
    key=keys[0],
)

# %% [markdown]
# `score.given(c)` is the field with its condition: a function of a point and a time, as
# every loss takes it. That is all that a conditional model changes in a training step.


# %%
def conditional_loss(score, process, batch, key):
    time_key, noise_key = jr.split(key)
    x0, c = batch
    t = process.stratified_times(time_key, len(x0))

    def one(x0, c, t, key):
        weight = rgen.losses.variance_weight
        return rgen.losses.denoising(score.given(c), process, x0, t, key, weight)

    return jnp.mean(jax.vmap(one)(x0, c, t, jr.split(noise_key, len(x0))))


@eqx.filter_jit
def step(score, state, process, data, loss, key):
    batch_key, loss_key = jr.split(key)
    batch = rgen.datasets.minibatch(batch_key, data, 512)
    value, grads = eqx.filter_value_and_grad(loss)(score, process, batch, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, value


def fit(score, process, data, loss, key, desc):
    state, losses = optim.init(eqx.filter(score, eqx.is_inexact_array)), []
    for step_key in tqdm(jr.split(key, steps), desc=desc):
        score, state, value = step(score, state, process, data, loss, step_key)
        losses.append(value)
    return score, losses


steps = 2000
schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
score, losses = fit(score, process, train, conditional_loss, keys[1], "side chains")

controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
sampler = rgen.ReverseSDE(steps=50)
model = rgen.ScoreModel(score, process, sampler, flow)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
rgen.plot.training_curve(ax, losses)
ax.set_title("denoising loss")
plt.show()

# %% [markdown]
# ## A helix and a sheet
#
# `model.given(c)` is an ordinary distribution. Below are its samples for one backbone
# of an $\alpha$ helix and one of a $\beta$ sheet, beside residues of the data whose
# backbone is within 15 degrees of it.

# %%
backbones = {"helix": (-63.0, -43.0), "sheet": (-140.0, 160.0)}
residues = {}
for key, (name, degrees) in zip(jr.split(keys[2]), backbones.items(), strict=True):
    c = jnp.deg2rad(jnp.array(degrees))
    near = jax.vmap(plane.dist, (0, None))(pairs[1], c) < np.deg2rad(15)
    samples = rgen.sample(model.given(c), key, 1500)
    residues[name] = {"data": pairs[0][near], "model": samples}

figure, axes = plt.subplots(2, 2, figsize=(7.5, 8), layout="constrained")
for row, (name, parts) in zip(axes, residues.items(), strict=True):
    for ax, color, label in zip(row, (BLUE, RED), parts, strict=True):
        # From 0 to 360 degrees, so that no cluster is cut.
        chi = np.rad2deg(np.asarray(parts[label][:1500, :2])) % 360
        ax.scatter(*chi.T, s=4, color=color, alpha=0.5, linewidths=0)
        ax.set(title=f"{name}: {label}", xlabel=r"$\chi_1$", ylabel=r"$\chi_2$")
        ax.set(xlim=(0, 360), ylim=(0, 360), aspect="equal")
        ax.set(xticks=[60, 180, 300], yticks=[60, 180, 300])
        ax.grid(color="#e4e1d8")
        ax.set_axisbelow(True)
plt.show()

# %% [markdown]
# The clusters are those of the data; a few more samples are between them. $\chi_1$
# prefers 60°, 180° and 300°, which chemists call p, t and m. On the helix p is rare,
# and on this sheet t is.


# %%
def shares(x):
    """The shares of p, t and m in percent."""
    cells = np.rad2deg(np.asarray(x[:, 0])) % 360 // 120
    return 100 * np.bincount(cells.astype(int), minlength=3) / len(x)


print(f"{'':<22}{'p':>6}{'t':>6}{'m':>6}  (%)")
for name, parts in residues.items():
    for label, x in parts.items():
        print(f"{name + ', ' + label:<22}" + "".join(f"{s:6.1f}" for s in shares(x)))

# %% [markdown]
# ## Held-out likelihood
#
# The baseline is a kernel mixture of all six angles, over its marginal of the backbone:
# $p(\chi \mid \phi, \psi) = p(\phi, \psi, \chi) / p(\phi, \psi)$. The marginal of a
# mixture of heat kernels on the torus is the mixture of the same weights and variances
# on the two angles. No variance is below `min_variance`.

# %%
joined = lambda pair: jnp.concatenate([pair[1], pair[0]], axis=1)
kernel = rgen.VaradhanHeatKernel(rgen.Torus(6))
few = joined(validation)[:128]
joint = rgen.fit_kernel_mixture(kernel, joined(train), few, min_variance)
marginal = rgen.KernelMixture(
    rgen.VaradhanHeatKernel(plane), train[1], joint.variances, joint.log_weights
)

# %% [markdown]
# The likelihoods are those of 512 held-out residues, in nats. `rgen.log_prob` takes one
# condition for each point. The last column is the difference from the score model, with
# its standard error over the residues.

# %%
some = jax.tree.map(lambda a: jr.permutation(keys[3], a)[:512], test)
ours = rgen.log_prob(model, some[0], given=some[1], chunk_size=128)
of_mixture = partial(rgen.log_prob, chunk_size=64)
log_probs = {
    "score model": ours,
    "kernel mixture": of_mixture(joint, joined(some)) - of_mixture(marginal, some[1]),
}
print(f"{'':<22}{'NLL':>8}{'difference':>14}")
for name, log_prob in log_probs.items():
    gap = ours - log_prob
    error = jnp.std(gap) / len(some[0]) ** 0.5
    print(f"{name:<22}{-jnp.mean(log_prob):8.2f}{jnp.mean(gap):9.2f} ± {error:.2f}")

# %% [markdown]
# The [results](../docs/results.md) of the experiment have six kinds of residues, a
# stronger kernel mixture, with variances of its own for the backbone, and a
# backbone-dependent rotamer library.
#
# ## Calibration
#
# Given its backbone, a residue should be as likely to be above as below the median of
# the model, and so for every quantile: the ranks of the held-out $\chi_1$ among samples
# for the same backbone should be uniform. Angles are counted from 0°, where there are
# few.

# %%
n = 50
given = jnp.repeat(some[1], n, axis=0)
progress = partial(tqdm, desc="samples")
samples = rgen.sample(model, keys[4], len(given), given=given, progress=progress)
turn = lambda angle: np.asarray(angle) % (2 * np.pi)
below = turn(samples[:, 0]).reshape(-1, n) < turn(some[0][:, :1])
ranks = (below.sum(axis=1) + np.asarray(jr.uniform(keys[5], (512,)))) / (n + 1)

gaps = np.arange(1, 513) / 512 - np.sort(ranks)
print(f"largest distance from the uniform distribution: {np.abs(gaps).max():.3f}")
print(f"95 % of right models are below {1.358 / 512**0.5:.3f}")

figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
ax.plot(np.sort(ranks), np.arange(1, 513) / 512, color=RED)
ax.set(xlabel=r"rank of $\chi_1$ in its samples", ylabel="share of the residues")
ax.set_aspect("equal")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## The backbone
#
# With a model of the backbone, the two make the whole residue:
# $p(\phi, \psi)\, p(\chi \mid \phi, \psi)$. The same step trains it, on $T^2$ and
# without a condition.


# %%
def loss(score, process, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    one = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, len(x0))))


flat = rgen.Brownian(plane, rgen.LogUniformSchedule(min_variance))
size = dict(width=128, depth=3, frequencies=64, max_frequency=10.0)
score = rgen.nn.ScoreField(flat, **size, key=keys[6])
score, _ = fit(score, flat, train[1], loss, keys[7], "backbone")
backbone = rgen.ScoreModel(score, flat, flow=flow)

# %% [markdown]
# MolProbity, which validates protein structures, calls a backbone favoured within the
# contour of a density that holds 98 % of the reference data, and allowed within that
# of 99.95 %. Here the density is that of the model, and the reference data are the
# training residues, each with the density of its pixel. The held-out residues say
# whether the contours hold.

# %%
projection, pixels = rgen.plot.AnglePlane(), 120
grid = rgen.plot.grid(projection, pixels)
log_density = rgen.log_prob(backbone, grid, progress=partial(tqdm, desc="density"))
mass = jnp.exp(log_density) * (2 * jnp.pi / pixels) ** 2
print(f"integral of the density: {mass.sum():.3f}")
image = np.asarray(log_density).reshape(pixels, pixels)


def at_pixel(c):
    phi, psi = np.asarray((c + jnp.pi) * pixels / (2 * jnp.pi)).astype(int).T % pixels
    return image[psi, phi]


figure, ax = plt.subplots(figsize=(6, 6.6), layout="constrained")
rgen.plot.frame(ax, projection)
picture = rgen.plot.density(ax, projection, log_density, pixels, span=10.0)
rgen.plot.points(ax, projection, test[1], INK, size=2)
x, y = (np.rad2deg(grid[:, i]).reshape(pixels, pixels) for i in (0, 1))
for share, name, style in [(0.98, "favoured", "-"), (0.9995, "allowed", "--")]:
    level = np.quantile(at_pixel(train[1]), 1 - share)
    inside = np.mean(at_pixel(test[1]) >= level)
    of_model = mass[log_density >= level].sum()
    print(f"{name}: {inside:.2%} of the held-out residues, {of_model:.2%} of the model")
    ax.contour(x, y, image, [level], colors=RED, linestyles=style, zorder=8)
ax.set(xlabel=r"$\phi$", ylabel=r"$\psi$", title="favoured and allowed backbones")
rgen.plot.color_bar(ax, picture)
plt.show()

# %% [markdown]
# ## What to change first
#
# - **The residue**: `rgen.datasets.glutamine()` and the four others are downloaded
#   once. Tryptophan and cysteine have half as many rows: watch the validation NLL, and
#   add noise of a few degrees to the backbones of a batch if the network overfits.
# - **The condition**: any pytree of arrays. Add a class by `eqx.nn.Embedding`, or leave
#   the backbone out at random with `rgen.nn.Droppable`, for guidance.
# - **Steps and width**: 5,000 steps with `width=256` lower the NLL further.
# - **The noise level**: with `min_variance = 1e-4` the model is sharper, and needs more
#   steps. Fit the mixture at the same level, or the likelihoods do not compare.
