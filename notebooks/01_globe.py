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
# # Where people live
#
# A Riemannian score-based generative model, from points on the globe to a density, new
# samples and a picture. Points of the sphere are noised by Brownian motion until they
# are uniform, a network learns the score of the noised points, and the process run
# backwards samples new ones.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
import json
from functools import partial
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import optax
from tqdm.auto import tqdm

import rgen


# %% [markdown]
# ## Data
#
# The places of at least 15,000 people, from GeoNames, as unit vectors. For the events
# of the paper write `rgen.datasets.earthquake()`, `flood()`, `fire()` or `volcano()`,
# which are downloaded once.

# %%
data = rgen.datasets.populated_places()

split_key, init_key, train_key, sample_key = jr.split(jr.key(0), 4)
train, validation, test = rgen.datasets.random_split(split_key, data)
print(f"{len(train)} points to train on, {len(validation)} and {len(test)} held out")

# %% [markdown]
# ## Model
#
# Brownian motion on $S^2$. Its schedule gives every scale the same share of the time,
# from 64 km, a variance of $10^{-4}$ square radians, to the whole globe. The score
# field reads Fourier features of many scales, and is tangent to the sphere. `damping`
# slows the learning of fine scales. These data have enough points to learn them fast.

# %%
sphere = rgen.Sphere(2)
min_variance = 1e-4
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(min_variance))
make_field = partial(
    rgen.nn.ScoreField,
    process,
    width=128,
    depth=3,
    frequencies=256,
    max_frequency=100.0,
    damping=0.25,
)
score = make_field(key=init_key)


# %% [markdown]
# ## Training
#
# The denoising loss has an exact target: the score of the heat kernel. One step of
# training is one compiled function; beside the parameters we keep a running average.


# %%
def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


steps, batch = 4000, 1024
schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 200, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
state = optim.init(eqx.filter(score, eqx.is_inexact_array))


@eqx.filter_jit
def step(score, average, state, data, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    score = eqx.apply_updates(score, updates)
    arrays, static = eqx.partition(score, eqx.is_inexact_array)
    before = eqx.filter(average, eqx.is_inexact_array)
    average = eqx.combine(optax.incremental_update(arrays, before, 2e-3), static)
    return score, average, state, loss


average, losses = score, []
progress = tqdm(jr.split(train_key, steps), desc="training")
for key in progress:
    score, average, state, loss = step(score, average, state, train, key)
    losses.append(loss)
    if len(losses) % 100 == 0:
        progress.set_postfix(loss=f"{jnp.mean(jnp.array(losses[-100:])):.3f}")

# %% [markdown]
# ## Saving and loading
#
# A file has the arrays, and a description of everything else; the code makes the
# structure that the arrays go in.

# %%
outputs = Path("outputs")
outputs.mkdir(exist_ok=True)
rgen.save(outputs / "globe.rgen", average)
score = rgen.load(outputs / "globe.rgen", make_field(key=init_key))

# %% [markdown]
# ## Held-out likelihood
#
# The density comes from the probability flow. Beside it are the uniform distribution
# and a strong baseline: a mixture of von Mises-Fisher kernels on the training points,
# at the same noise level, whose weights are fitted to the validation points.

# %%
controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
model = rgen.ScoreModel(score, process, flow=flow)
kernel = rgen.VonMisesFisherKernel(sphere)
mixture = rgen.fit_kernel_mixture(kernel, train, validation, min_variance)
nll = {
    "rgen": -float(jnp.mean(rgen.log_prob(model, test))),
    "kernel mixture": -float(jnp.mean(rgen.log_prob(mixture, test, chunk_size=64))),
    "uniform": sphere.log_volume,
}
for name, value in nll.items():
    print(f"held-out NLL, {name:<15}{value:8.3f} nats")
with open(outputs / "globe.json", "w") as file:
    json.dump(nll, file)

# %% [markdown]
# ## Samples, and a picture

# %%
samples = rgen.sample(model, sample_key, len(test))

# %%
plot = rgen.plot
world = plot.Mollweide()
grid = plot.grid(world, pixels=120)

figure = plt.figure(figsize=(11, 9.5), layout="constrained")
axes = figure.subplot_mosaic([["density"] * 2, ["samples", "places held out"]])
plot.frame(axes["density"], world)
axes["density"].set_title("Density of the model, on a scale of 8 nats")
log_density = rgen.log_prob(model, grid, progress=partial(tqdm, desc="density"))
image = plot.density(axes["density"], world, log_density, pixels=120)
plot.coastlines(axes["density"], world)
plot.color_bar(axes["density"], image)

globe = plot.Orthographic(longitude=20.0, latitude=25.0)
shown = {"samples": (samples, "#d1342f"), "places held out": (test, "#1f4e79")}
for name, (points, color) in shown.items():
    plot.frame(axes[name], globe)
    plot.coastlines(axes[name], globe)
    plot.points(axes[name], globe, points, color)
    axes[name].set_title(f"{len(points):,} {name}")
figure.savefig(outputs / "globe.png", dpi=150)
print(f"picture: {outputs / 'globe.png'}")
plt.show()

# %% [markdown]
# ## What to change first
#
# - **The data.** `rgen.datasets.flood()`, or a file of your own through
#   `rgen.datasets.to_unit(longitude, latitude)`.
# - **The detail.** `min_variance` is the noise level, 64 km. With a smaller one raise
#   `max_frequency` to about `1 / sqrt(min_variance)`.
# - **The damping.** With the default of 1 the model takes three times as long to reach
#   this likelihood. On a few hundred points it overfits later.
# - **The time.** Half the `steps` give nearly the same picture and a worse likelihood.
# - **The sampler.** `rgen.ScoreModel(score, process, rgen.ProbabilityFlow())` samples
#   by the ODE.
