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
# # Torsion angles
#
# The shape of a lysine in a protein is six angles: two of the backbone, $\phi$ and
# $\psi$, and four of the side chain, $\chi_1$ to $\chi_4$. They are a point of the
# torus $T^6$. You will train a score model of two of the angles and one of all six with
# the same code, draw Ramachandran plots, and compare the held-out likelihood with that
# of a kernel mixture.
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


BLUE, RED = "#1f4e79", "#d1342f"
plt.rcParams["figure.dpi"] = 100

# %% [markdown]
# ## Data
#
# The angles of the lysines in well-resolved protein structures, in radians. Residues of
# one protein chain resemble each other, so `group_split` keeps every chain in one part.

# %%
angles, chains = rgen.datasets.lysine()
names = [r"$\phi$", r"$\psi$", r"$\chi_1$", r"$\chi_2$", r"$\chi_3$", r"$\chi_4$"]
split_key, *keys = jr.split(jr.key(0), 8)
train, validation, test = rgen.datasets.group_split(split_key, angles, chains)
print(f"{len(angles)} residues of {len(np.unique(chains))} chains")
print(f"{len(train)} to train on, {len(validation)} and {len(test)} held out")

# %% [markdown]
# ## Training
#
# The heat kernel of the torus is exact, so the denoising loss has an exact target. The
# functions below read the manifold from the process and do not depend on the dimension.


# %%
def batch_loss(score, process, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


steps, batch = 3000, 512
schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


@eqx.filter_jit
def step(score, state, process, data, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, process, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


def fit(score, process, data, key):
    state, losses = optim.init(eqx.filter(score, eqx.is_inexact_array)), []
    progress = tqdm(jr.split(key, steps), desc=f"T^{process.manifold.dim}")
    for step_key in progress:
        score, state, loss = step(score, state, process, data, step_key)
        losses.append(loss)
    return score, losses


# %% [markdown]
# ## A Ramachandran plot
#
# First the backbone alone, on $T^2$. The schedule starts at a variance of $10^{-3}$
# square radians: samples and densities have noise of 1.8 degrees in each angle.

# %%
min_variance = 1e-3
plane = rgen.Torus(2)
process = rgen.Brownian(plane, rgen.LogUniformSchedule(min_variance))
score = rgen.nn.ScoreField(process, width=64, depth=3, max_frequency=10.0, key=keys[0])
score, losses_2 = fit(score, process, train[:, :2], keys[1])

controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
backbone = rgen.ScoreModel(score, process, flow=flow)

# %% [markdown]
# The density comes from the probability flow, at every pixel of the plot. Its integral
# over the square has a known answer, 1.

# %%
projection, pixels = rgen.plot.AnglePlane(), 100
grid = rgen.plot.grid(projection, pixels)
log_density = rgen.log_prob(backbone, grid, progress=partial(tqdm, desc="density"))
integral = jnp.sum(jnp.exp(log_density)) * (2 * jnp.pi / pixels) ** 2
print(f"integral of the density: {integral:.3f}")

figure, axes = plt.subplots(1, 2, figsize=(10, 5.4), layout="constrained")
for ax in axes:
    rgen.plot.frame(ax, projection)
    ax.set(xlabel=r"$\phi$", ylabel=r"$\psi$")
axes[0].set_title(f"{len(test)} held-out residues")
rgen.plot.points(axes[0], projection, test[:, :2], BLUE, size=5)
axes[1].set_title("density of the model")
image = rgen.plot.density(axes[1], projection, log_density, pixels)
rgen.plot.color_bar(axes[1], image)
plt.show()

# %% [markdown]
# ## All six angles
#
# The same two functions, on $T^6$, with a wider network. Random Fourier frequencies of
# the point are of little use in six dimensions: this network reads only the cosines and
# sines of the angles.

# %%
torus = rgen.Torus(6)
process = rgen.Brownian(torus, rgen.LogUniformSchedule(min_variance))
score = rgen.nn.ScoreField(process, width=256, depth=3, frequencies=0, key=keys[2])
score, losses_6 = fit(score, process, train, keys[3])
model = rgen.ScoreModel(score, process, flow=flow)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
rgen.plot.training_curve(ax, losses_2, label="$T^2$")
rgen.plot.training_curve(ax, losses_6, color=RED, label="$T^6$")
ax.set_title("denoising loss")
rgen.plot.legend(ax)
plt.show()

# %% [markdown]
# ## Held-out likelihood
#
# The strong baseline is a mixture of heat kernels on all training points, at the same
# noise level or above: the weights of 24 variances are fitted to validation points. On
# a flat torus and at these variances, the nearest image is all of the heat kernel that
# counts. `VaradhanHeatKernel` takes only that one, and is ten times as fast. The second
# mixture treats the angles as independent.

# %%
few = validation[:256]
kernel = rgen.VaradhanHeatKernel(torus)
mixture = rgen.fit_kernel_mixture(kernel, train, few, min_variance)

circle = rgen.VaradhanHeatKernel(rgen.Torus(1))
independent = rgen.ProductDistribution(
    *(
        rgen.fit_kernel_mixture(circle, train[:, [i]], few[:, [i]], min_variance)
        for i in range(6)
    )
)

# %% [markdown]
# The likelihoods are those of 512 held-out residues, in nats. The last column is the
# difference from the score model, with its standard error over the residues.

# %%
some = test[:512]
ours = rgen.log_prob(model, some)
log_probs = {
    "score model": ours,
    "kernel mixture": rgen.log_prob(mixture, some, chunk_size=64),
    "independent angles": rgen.log_prob(independent, some, chunk_size=64),
    "uniform": rgen.log_prob(rgen.Uniform(torus), some),
}
print(f"{'':<20}{'NLL':>8}{'difference':>14}")
for name, log_prob in log_probs.items():
    gap = ours - log_prob
    error = jnp.std(gap) / len(some) ** 0.5
    print(f"{name:<20}{-jnp.mean(log_prob):8.2f}{jnp.mean(gap):9.2f} ± {error:.2f}")

# %% [markdown]
# ## Every pair of angles
#
# Samples of the model beside the held-out residues: the histogram of each angle, and
# for each pair the regions that hold 50 % and 90 %. The model is a little less sharp
# than the data, which shows in the tops of the narrowest peaks.

# %%
samples = rgen.sample(model, keys[4], len(test), progress=partial(tqdm, desc="samples"))

figure, axes = plt.subplots(6, 6, figsize=(10, 10), layout="constrained")
rgen.plot.corner(axes, test, BLUE, "held out", names)
rgen.plot.corner(axes, samples, RED, "model", names)
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="upper right", fontsize="large"
)
plt.show()

# %% [markdown]
# ## Rotamers
#
# A side chain prefers $\chi$ near 60°, 180° or -60°, which chemists call p, t and m.
# Four angles have 81 such rotamers, "mttt" among them. Do the samples have each of them
# as often as the data? The total variation between two sets of shares, $\tfrac12 \sum_k
# |f_k - g_k|$, is one number for all 81.


# %%
def rotamers(x):
    """The share of each of the 81 rotamers."""
    chi = np.rad2deg(np.asarray(x))[:, 2:] % 360
    return np.bincount((chi // 120).astype(int) @ [27, 9, 3, 1], minlength=81) / len(x)


def shuffled(key, x):
    """Every angle from a residue of its own: the marginals without the dependence."""
    return jax.vmap(jr.permutation, (0, 1), 1)(jr.split(key, x.shape[1]), x)


held_out = rotamers(test)
others = rgen.datasets.minibatch(keys[5], train, len(test))
rows = {
    "training residues": rotamers(others),
    "score model": rotamers(samples),
    "independent angles": rotamers(shuffled(keys[6], others)),
}
print("total variation from the held-out residues")
for name, shares in rows.items():
    print(f"{name:<20}{np.abs(shares - held_out).sum() / 2:8.3f}")

# %%
letters = np.array(["p", "t", "m"])
codes = np.stack(np.unravel_index(np.arange(81), (3, 3, 3, 3)), axis=1)
most = np.argsort(-held_out)[:20]
figure, ax = plt.subplots(figsize=(10, 3.6), layout="constrained")
place, width = np.arange(len(most)), 0.28
bars = {
    "held out": (held_out, BLUE),
    "model": (rows["score model"], RED),
    "independent angles": (rows["independent angles"], "#b9b6ae"),
}
for i, (name, (shares, color)) in enumerate(bars.items()):
    ax.bar(place + (i - 1) * width, 100 * shares[most], width, color=color, label=name)
ax.set_xticks(place, ["".join(letters[codes[k]]) for k in most], rotation=60)
ax.set(ylabel="share (%)", title="The 20 most frequent rotamers")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What to change first
#
# - **Another residue**: `rgen.datasets.glutamine()`, `histidine()`, `methionine()`,
#   `tryptophan()` and `cysteine()` have three to five angles; they are downloaded once.
# - **The noise level**: with `min_variance = 1e-4` the model is sharper, and needs more
#   steps. Fit the mixture at the same level, or the likelihoods do not compare.
# - **Steps and width**: 10,000 steps with `width=512` lower the NLL further. Watch the
#   validation NLL: with 28,000 residues the network can overfit.
# - **The split**: `rgen.datasets.random_split` instead of `group_split` shows how much
#   residues of one chain tell about each other.
