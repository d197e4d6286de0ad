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
# # Hyperbolic space
#
# The hyperbolic plane is not compact, and Brownian motion on it has no prior to
# converge to. You noise with Langevin dynamics instead, which converges to a prior of
# your choice, and train with a loss that needs no transition density. The data are the
# mixture of four wrapped normals of De Bortoli et al. (2022), section 6. Its entropy is
# the best negative log-likelihood that a model can reach.
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
import optax
from tqdm.auto import tqdm

import rgen


BLUE, RED = "#1f4e79", "#d1342f"
plot = rgen.plot
plane = rgen.Hyperbolic(2)

# %% [markdown]
# ## The target
#
# A wrapped normal is a normal distribution in the tangent space of its mean, mapped to
# the manifold by $\exp$. Its density is known exactly, and so is that of a mixture.
# rgen represents a point $x$ of the plane by the tangent vector $\log_o(x)$ at the
# origin $o$. `from_poincare` and `to_poincare` convert from and to the Poincaré disc.

# %%
discs = jnp.array([[0.4, 0.0], [-0.4, 0.0], [0.0, 0.4], [0.0, -0.4]])
scales = jnp.array([[0.15, 0.5], [0.15, 0.5], [0.5, 0.15], [0.5, 0.15]])
means = jax.vmap(plane.from_poincare)(discs)
components = eqx.filter_vmap(partial(rgen.WrappedNormal, plane))(means, scales)
target = rgen.Mixture(components, jnp.zeros(4))

data_key, noise_key, init_key, train_key, sample_key = jr.split(jr.key(0), 5)
data = rgen.sample(target, data_key, 22_000)
test, fresh, train = data[:1000], data[1000:2000], data[2000:]

# %% [markdown]
# ## Noise that converges to a prior
#
# Langevin dynamics, $\mathrm dX = -\tfrac12 \beta \nabla U\, \mathrm dt + \sqrt\beta\,
# \mathrm dB$, leaves the density $e^{-U}$ invariant (section 3 of the paper). Like the
# paper we use a wrapped normal of unit scale at the origin:
#
# $$-U(x) = -\frac{r^2}{2} - \log 2\pi - \log\frac{\sinh r}{r}.$$
#
# `rgen.WrappedNormal` has that density for any mean. Every step of the walk evaluates
# its gradient, so we write it for this one mean, which compiles in a third of the time.
# A distribution of your own needs only `log_prob` and `sample`.


# %%
class Prior(rgen.AbstractDistribution):
    """The wrapped normal of unit scale at the origin."""

    manifold: rgen.Hyperbolic = plane

    def log_prob(self, x):
        r = jnp.sqrt(jnp.sum(x**2) + 1e-8)  # has a derivative at the origin
        log_volume = r + jnp.log(-jnp.expm1(-2 * r) / (2 * r))
        return -(r**2) / 2 - jnp.log(2 * jnp.pi) - log_volume

    def sample(self, key):
        return jr.normal(key, self.manifold.point_shape)


prior = Prior()
general = rgen.WrappedNormal(plane, plane.origin, 1.0)
difference = rgen.log_prob(prior, test) - rgen.log_prob(general, test)
print(f"largest difference from WrappedNormal: {jnp.max(jnp.abs(difference)):.1e} nats")

# %% [markdown]
# The table shows the mean distance of the noised data from the origin. Brownian motion
# drifts outwards forever, since the length of a circle grows as $\sinh r$. Langevin
# dynamics converges to the prior.

# %%
process = rgen.Langevin(plane, rgen.LogUniformSchedule(1e-3, 6.0), prior, steps=40)
brownian = rgen.heat_kernel(plane)


@eqx.filter_jit
def over_points(sample, at, key):
    keys = jr.split(key, len(test))
    return jax.vmap(lambda x, key: sample(x, at, key))(test, keys)


def mean_distance(x):
    return jnp.mean(jax.vmap(plane.dist, (None, 0))(plane.origin, x))


variances = jnp.array([0.01, 0.1, 0.5, 6.0])
frames = []
print(f"{'variance':>8}{'Langevin':>12}{'Brownian':>12}")
for v in variances:
    frames.append(over_points(process.sample, process.schedule.time(v), noise_key))
    free = over_points(brownian.sample, v, noise_key)
    print(f"{v:>8.2f}{mean_distance(frames[-1]):>12.2f}{mean_distance(free):>12.2f}")
settled = mean_distance(rgen.sample(prior, noise_key, 1_000))
print(f"{'prior':>8}{settled:>12.2f}")

# %%
disc = plot.PoincareDisc()
figure, axes = plt.subplots(1, 5, figsize=(12, 2.9), layout="constrained")
titles = ["data", *[f"variance {v:.2g}" for v in variances]]
for ax, title, x in zip(axes, titles, [test, *frames], strict=True):
    plot.frame(ax, disc)
    plot.points(ax, disc, x, color=BLUE, size=3)
    ax.set_title(title)

# %% [markdown]
# ## Training
#
# A random walk samples the transitions of Langevin dynamics, but their density is not
# known, so denoising has no target. The implicit loss $|s|^2 + 2\,\mathrm{div}\,s$
# (Table 2 of the paper) needs only the samples.
#
# In these coordinates the metric stretches vectors by $\sinh(r) / r$ across the radius.
# Far from the origin even a small array is a long vector. So the network's output is
# coefficients in an orthonormal frame, where lengths are those of the metric. Without
# this parametrisation, samples far from the origin diverge.


# %%
class Frame(rgen.nn.AbstractParametrisation):
    """The network's output as coefficients in the frame of the manifold."""

    def size(self, manifold):
        return manifold.dim

    def __call__(self, manifold, x, output):
        return manifold.frame(x, output)


score = rgen.nn.ScoreField(
    process,
    key=init_key,
    width=96,
    depth=3,
    frequencies=64,
    max_frequency=8.0,
    parametrisation=Frame(),
)
steps, batch = 1800, 256


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.implicit, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


rate = optax.warmup_cosine_decay_schedule(0.0, 2e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
state = optim.init(eqx.filter(score, eqx.is_inexact_array))


@eqx.filter_jit
def step(score, state, data, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


losses = []
for key in tqdm(jr.split(train_key, steps), desc="training"):
    score, state, loss = step(score, state, train, key)
    losses.append(loss)

# %%
figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.set_title("The implicit loss, whose minimum is not zero")
curve = plot.training_curve(ax, losses)

# %% [markdown]
# ## How good is it?
#
# The expected negative log-likelihood (NLL) of held-out points is at least the entropy
# of the target, which the first row estimates. The last column is the reverse: the NLL
# of each row's samples under the target, which is large for samples in places without
# data. The baselines are the prior, and the isotropic wrapped normal at the origin that
# fits the data best.

# %%
controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
model = rgen.ScoreModel(score, process, rgen.ReverseSDE(steps=100), flow)
scale = jnp.sqrt(jnp.mean(jnp.sum(train**2, axis=1)) / 2)
normal = rgen.WrappedNormal(plane, plane.origin, scale)

rows = {"target": target, "model": model, "one wrapped normal": normal, "prior": prior}
log_target = rgen.log_prob(target, test)
samples = {"target": fresh}
samples |= {k: rgen.sample(rows[k], sample_key, 1000) for k in rows if k != "target"}
print(f"{'':<20}{'NLL':>7}{'above the target':>20}{'NLL of samples':>17}")
for name, distribution in rows.items():
    log_p = rgen.log_prob(distribution, test, chunk_size=1000)
    gap = log_target - log_p
    quality = -jnp.mean(rgen.log_prob(target, samples[name]))
    error = jnp.std(gap) / jnp.sqrt(len(gap))
    print(
        f"{name:<20}{-jnp.mean(log_p):>7.3f}{jnp.mean(gap):>12.3f} ± {error:.3f}"
        f"{quality:>17.3f}"
    )

# %% [markdown]
# ## On the disc
#
# Densities are with respect to hyperbolic area. The disc shrinks this area towards its
# rim, so a mode far out looks smaller than it is.

# %%
pixels = 80
x = plot.grid(disc, pixels)
figure, axes = plt.subplots(2, 2, figsize=(8, 8.6), layout="constrained")
images = []
for column, name, color in zip(axes.T, ["target", "model"], [BLUE, RED], strict=True):
    log_p = rgen.log_prob(rows[name], x, chunk_size=1000)
    plot.frame(column[0], disc)
    images.append(plot.density(column[0], disc, log_p, pixels))
    column[0].set_title(f"{name}: density")
    plot.frame(column[1], disc)
    plot.points(column[1], disc, samples[name], color=color)
    column[1].set_title(f"{name}: 1,000 samples")
bar = plot.color_bar(list(axes[0]), images)

# %% [markdown]
# ## What to change first
#
# - `rgen.losses.sliced` instead of `implicit`: one derivative per point in any
#   dimension, with more variance.
# - `Prior`: a scale of 2, or `rgen.Gibbs` with a potential of your own. Training
#   doesn't need the normalising constant; without it the model's log-density is known
#   up to a constant.
# - `process`: more or fewer `steps` of the random walk, which takes most of the time.
# - `steps` and `batch`: the experiment on the results page uses 6,000 and 512.
# - `rgen.Hyperbolic(3)`, with data and a prior in three dimensions: all but the plots
#   works there too.
