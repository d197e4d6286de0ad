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
# # Conditions and guidance
#
# Two ways to sample $p(x \mid c)$. With pairs of points and conditions, train a
# conditional model: here, where is a city of a given population? Without them, steer a
# model that is already trained, by a likelihood $p(c \mid x)$: here, where is a city in
# a given region, or at a given distance? You will do both, and compare each with a
# baseline or a known answer.
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


BLUE, RED, GREY = "#1f4e79", "#d1342f", "#9a9a9a"
EARTH = 6371  # km
plt.rcParams["figure.dpi"] = 100
plot = rgen.plot

# %% [markdown]
# ## A conditional model
#
# The places of at least 15,000 people, and the logarithms of their populations. A
# condition is an array, or a pytree of arrays; here it is one standardised number.

# %%
places, people = rgen.datasets.populated_places(), rgen.datasets.populations()
log_people = jnp.log(people)
mean, deviation = jnp.mean(log_people), jnp.std(log_people)


def standardised(population):
    return (jnp.log(jnp.asarray(population)) - mean)[..., None] / deviation


split_key, *keys = jr.split(jr.key(0), 17)
pairs = (places, standardised(people))
train, validation, test = rgen.datasets.random_split(split_key, pairs)
print(f"{len(train[0])} places to train on, of 15,000 to {people.max():,} people")

# %% [markdown]
# The field reads the condition through an embedding, here a small network.
# `rgen.nn.Droppable` adds a learnt vector for "no condition", so that one network is
# both the conditional and the unconditional score. The noise level is a variance of
# $10^{-3}$ square radians, 200 km.

# %%
sphere = rgen.Sphere(2)
min_variance = 1e-3
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(min_variance))
network = eqx.nn.MLP(1, 16, 32, 1, key=keys[0])
score = rgen.nn.ScoreField(
    process,
    width=128,
    depth=3,
    frequencies=128,
    max_frequency=30.0,
    damping=0.25,
    embedding=rgen.nn.Droppable(network, jnp.zeros(1)),
    condition=(jnp.zeros(1), jnp.array(True)),
    key=keys[1],
)

# %% [markdown]
# Training is that of any score model, with `score.given(c)` in the place of the score.
# `rgen.nn.drop` leaves out one condition in five.


# %%
def conditional_loss(score, x0, c, t, key):
    drop_key, noise_key = jr.split(key)
    c = rgen.nn.drop(drop_key, c, 0.2)
    weight = rgen.losses.variance_weight
    return rgen.losses.denoising(score.given(c), process, x0, t, noise_key, weight)


def batch_loss(score, x0, c, key):
    time_key, key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    loss = partial(conditional_loss, score)
    return jnp.mean(jax.vmap(loss)(x0, c, t, jr.split(key, len(x0))))


steps, batch = 2000, 512
schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


@eqx.filter_jit
def step(score, state, data, key):
    batch_key, loss_key = jr.split(key)
    x0, c = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, c, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


state, losses = optim.init(eqx.filter(score, eqx.is_inexact_array)), []
for key in tqdm(jr.split(keys[2], steps), desc="training"):
    score, state, loss = step(score, state, train, key)
    losses.append(loss)

figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
plot.training_curve(ax, losses)
ax.set_title("denoising loss")
plt.show()

# %% [markdown]
# ## Held-out likelihood
#
# $\log p(x \mid c)$ of held-out places. `given` has one condition for each point.

# %%
controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
walk = rgen.ReverseSDE(60)
model = rgen.ScoreModel(score, process, walk, flow)

x, c = (rows[:512] for rows in test)
present = jnp.ones(len(x), bool)
conditional = rgen.log_prob(model, x, given=(c, present))
unconditional = rgen.log_prob(model, x, given=(c, ~present))

# %% [markdown]
# The baseline is a mixture of von Mises-Fisher kernels on the training places, at the
# same noise level or above. To make it conditional, weigh each place by a normal kernel
# of its log-population: $p(x \mid c) = \sum_i h(c - c_i)\, p(x \mid x_i) / \sum_i h(c -
# c_i)$. The width of $h$ is the best of six on validation places.

# %%
kernel = rgen.VonMisesFisherKernel(sphere)
mixture = rgen.fit_kernel_mixture(kernel, train[0], validation[0][:512], min_variance)
used = mixture.log_weights > jnp.log(1e-3)
variances, log_weights = mixture.variances[used], mixture.log_weights[used]
centres, populations = train


@jax.jit
def conditional_mixture(x, c, widths):
    def one(pair):
        x, c = pair
        kernels = jax.vmap(kernel.log_prob, (0, None, None))
        each = jax.vmap(kernels, (None, None, 0))(centres, x, variances)
        at_centres = jax.nn.logsumexp(each + log_weights[:, None], axis=0)
        log_h = -(((c - populations[:, 0]) / widths[:, None]) ** 2) / 2
        return jax.nn.logsumexp(jax.nn.log_softmax(log_h) + at_centres, axis=1)

    return jax.lax.map(one, (x, c), batch_size=16)


widths = jnp.array([0.1, 0.2, 0.4, 0.8, 1.6, 100.0])
tried = jnp.mean(conditional_mixture(*(r[:512] for r in validation), widths), axis=0)
best = widths[jnp.argmax(tried)]
both = conditional_mixture(x, c, jnp.stack([best, widths[-1]]))
print(f"width of h: {best:.1f} standard deviations of the log-population")

# %%
rows = {
    "model": conditional,
    "model, no condition": unconditional,
    "mixture": both[:, 0],
    "mixture, no condition": both[:, 1],
    "uniform": jnp.full(len(x), -sphere.log_volume),
}
print(f"{'':<24}{'NLL':>6}{'difference':>14}")
for name, value in rows.items():
    gap = conditional - value
    error = jnp.std(gap) / len(x) ** 0.5
    print(f"{name:<24}{-jnp.mean(value):6.2f}{jnp.mean(gap):9.3f} ± {error:.3f}")

# %% [markdown]
# ## Classifier-free guidance
#
# Where are the cities of a million people? `rgen.ClassifierFreeGuidance` moves the
# unconditional score towards the conditional one, and with a weight $w > 1$ beyond it.
# For $w = 1$ the samples follow the conditional model; for larger $w$ they follow no
# known distribution, and concentrate where the condition makes the difference. One
# number shows it: the share of samples within 300 km of a training place of a million
# people or more.

# %%
million = standardised(1e6)
with_c = score.given((million, jnp.array(True)))
without = score.given((million, jnp.array(False)))
prior = rgen.ScoreModel(without, process, walk)

drawn = {"no condition": rgen.sample(prior, keys[3], 2048)}
for w in (1.0, 3.0):
    guided = rgen.ClassifierFreeGuidance(with_c, without, w)
    guided = rgen.ScoreModel(guided, process, walk)
    drawn[f"a million, w = {w:.0f}"] = rgen.sample(guided, keys[4], 1024)

large = centres[populations[:, 0] > million]


@jax.jit
def near_large(x):
    distances = jax.vmap(lambda y: jnp.min(jax.vmap(partial(sphere.dist, y))(large)))(x)
    return jnp.mean(distances < 300 / EARTH)


world = plot.Mollweide()
figure, axes = plt.subplots(1, 3, figsize=(12, 2.6), layout="constrained")
for ax, (name, points) in zip(axes, drawn.items(), strict=True):
    plot.frame(ax, world)
    plot.coastlines(ax, world)
    plot.points(ax, world, points[:1024], BLUE, size=3)
    ax.set_title(name)
    print(f"{name:<24}{near_large(points[:1024]):6.1%} within 300 km of a large city")
held_out = test[0][(test[1] > million)[:, 0]]
print(f"{'held out, a million on':<24}{near_large(held_out):6.1%} of {len(held_out)}")
plt.show()

# %% [markdown]
# ## Steering without training
#
# From here on the model is the unconditional one, and the condition comes as a
# likelihood $p(c \mid x)$. Two of them: the place is within 2500 km of Vienna, with a
# soft border; and it is 4000 km from Nairobi, give or take 500 km. They are one
# module, not two lambdas, so that both share what is compiled.


# %%
class Seen(eqx.Module):
    """The log-likelihood of a distance to a centre, in radians: less than the radius,
    or equal to it."""

    centre: jax.Array
    radius: jax.Array
    width: jax.Array
    less: jax.Array

    def __call__(self, x):
        gap = (sphere.dist(self.centre, x) - self.radius) / self.width
        return jnp.where(self.less, jax.nn.log_sigmoid(-gap), -(gap**2) / 2)


def seen(centre, km, width, less):
    return Seen(centre, *map(jnp.asarray, (km / EARTH, width / EARTH, less)))


vienna = rgen.datasets.to_unit(16.4, 48.2)
nairobi = rgen.datasets.to_unit(36.8, -1.3)
region = seen(vienna, 2500, 500, True)
distance = seen(nairobi, 4000, 500, False)

# %% [markdown]
# The known answer: samples of the model, weighted by the likelihood. That is exact, and
# wasteful: its effective sample size is a fraction of the samples. Everything below is
# done in four batches, whose spread is the error.

# %%
runs = 4


def weighted(likelihood):
    points = drawn["no condition"].reshape(runs, -1, 3)
    return points, jax.nn.softmax(jax.vmap(jax.vmap(likelihood))(points), axis=1)


# %% [markdown]
# `rgen.Guided` adds the gradient of a log-likelihood of the *noised* point to the
# score, which is Bayes' rule. That likelihood is an average, $p_t(c \mid x) =
# \mathbb E[p(c \mid x_0) \mid x_t = x]$, and a classifier of noised points learns it in
# seconds: its loss is the cross-entropy with $p(c \mid x_0)$.


# %%
class Classifier(eqx.Module):
    network: eqx.nn.MLP

    def __call__(self, x, t):
        features = jnp.append(x, jnp.log(process.schedule.variance(t)) / 4)
        return jax.nn.log_sigmoid(self.network(features)[0])

    def cross_entropy(self, x0, t, key):
        x, p = process.sample(x0, t, key), jnp.exp(region(x0))
        logit = self.network(jnp.append(x, jnp.log(process.schedule.variance(t)) / 4))
        return optax.sigmoid_binary_cross_entropy(logit[0], p)


@eqx.filter_jit
def classifier_step(classifier, state, key):
    batch_key, time_key, key = jr.split(key, 3)
    x0 = rgen.datasets.minibatch(batch_key, train[0], batch)
    t = process.stratified_times(time_key, batch)

    def loss(classifier):
        each = jax.vmap(classifier.cross_entropy)(x0, t, jr.split(key, batch))
        return jnp.mean(each)

    updates, state = optim.update(eqx.filter_grad(loss)(classifier), state)
    return eqx.apply_updates(classifier, updates), state


classifier = Classifier(eqx.nn.MLP(4, 1, 64, 3, jax.nn.silu, key=keys[5]))
state = optim.init(eqx.filter(classifier, eqx.is_inexact_array))
for key in tqdm(jr.split(keys[6], 600), desc="classifier"):
    classifier, state = classifier_step(classifier, state, key)

# %% [markdown]
# `rgen.Reconstruction` needs no classifier: it takes the likelihood of the clean point
# at the denoised estimate of it, and is biased. `rgen.TwistedSampler` walks as it says,
# with weights that correct the bias; more particles come nearer to the posterior. It
# asks for the width of the likelihood, and widens it by what the noise still hides.


# %%
def steered(log_likelihood, key):
    guided = rgen.Guided(without, sphere, log_likelihood)
    x = rgen.sample(rgen.ScoreModel(guided, process, walk), key, 1024)
    return x.reshape(runs, -1, 3), jnp.full((runs, 1024 // runs), runs / 1024)


def twisted(likelihood, key):
    sampler = rgen.TwistedSampler(particles=256, steps=60)
    found = [
        sampler(without, process, likelihood, k, likelihood.width)
        for k in jr.split(key, runs)
    ]
    sizes.append(found[0].effective_sizes)
    weights = jnp.exp(jnp.stack([f.log_weights for f in found]))
    return jnp.stack([f.points for f in found]), weights


sizes = []
reconstruction = partial(rgen.Reconstruction, without, process)
results = {
    "region": {
        "importance weights": weighted(region),
        "classifier": steered(classifier, keys[7]),
        "reconstruction": steered(reconstruction(region), keys[8]),
        "twisted": twisted(region, keys[9]),
    },
    "distance": {
        "importance weights": weighted(distance),
        "reconstruction": steered(reconstruction(distance), keys[10]),
        "twisted": twisted(distance, keys[11]),
    },
}

# %% [markdown]
# The mean distance from the centre, the share of places in the north-east of it, and
# the effective sample size at the end.


# %%
@jax.jit
def summary(points, weights, centre):
    """Means with their standard errors over the batches, and the effective sample
    size of all of them."""
    away = EARTH * jax.vmap(jax.vmap(partial(sphere.dist, centre)))(points)
    east, north = jnp.array([-centre[1], centre[0], 0]), jnp.array([0.0, 0.0, 1.0])
    here = (points @ east > 0) & (points @ north > centre[2])
    means = jnp.stack([jnp.sum(weights * values, axis=1) for values in (away, here)])
    size = jnp.sum(1 / jnp.sum(weights**2, axis=1))
    return jnp.mean(means, axis=1), jnp.std(means, axis=1, ddof=1) / runs**0.5, size


for condition, centre in (("region", vienna), ("distance", nairobi)):
    print(f"{condition:<22}{'distance, km':>16}{'north-east':>18}{'size':>8}")
    for name, found in results[condition].items():
        (d, s), (de, se), size = summary(*found, centre)
        print(f"  {name:<20}{d:9.0f} ± {de:4.0f}{s:11.3f} ± {se:.3f}{size:9.0f}")

# %%
globe = plot.Orthographic(longitude=28.0, latitude=24.0)
figure, axes = plt.subplots(2, 4, figsize=(12, 6.2), layout="constrained")
axes[1, 1].set_axis_off()
for row, (condition, found) in zip(axes, results.items(), strict=True):
    row = row if len(found) == 4 else row[[0, 2, 3]]
    for ax, (name, (points, weights)) in zip(row, found.items(), strict=True):
        plot.frame(ax, globe)
        plot.coastlines(ax, globe)
        points, weights = points.reshape(-1, 3), weights.ravel() / runs
        index = jr.choice(keys[12], len(points), (600,), p=weights)
        color = GREY if name == "importance weights" else BLUE
        plot.points(ax, globe, points[index], color, size=4)
        ax.set_title(f"{condition}: {name}")
plt.show()

# %% [markdown]
# No row is exact. The classifier is off by what it has not learnt, reconstruction by
# its bias, and the twisted sampler by its number of particles: resampled particles have
# ancestors in common, so that its batches differ by more than the effective sample size
# at the end says.
#
# The effective sample size on the way, in one batch, from the prior on the left to the
# clean points on the right. Below half of the number, the particles are resampled. A
# fall to a few is a warning: most particles then have one ancestor. Leave out the width
# of the likelihoods, and you will see one.

# %%
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
v = jax.vmap(process.schedule.variance)(process.time_grid(60))
for name, size, color in zip(results, sizes, (BLUE, RED), strict=True):
    ax.plot(v, size, color=color, label=name)
ax.set(xscale="log", yscale="log", xlabel="variance of the noise", ylim=(1, 350))
ax.invert_xaxis()
ax.set_title("effective sample size of 256 particles, one batch")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Inpainting on a torus
#
# The same sampler fills in an angle given another one. The model is one of the two
# backbone angles of lysines; the condition is $\phi = -95°$, give or take 10°. The
# known answer is a quadrature: the density of the model on a grid, times the
# likelihood.

# %%
angles = rgen.datasets.lysine().angles[:, :2]
plane = rgen.Torus(2)
on_plane = rgen.Brownian(plane, rgen.LogUniformSchedule(1e-2))
backbone = rgen.nn.ScoreField(
    on_plane, width=64, depth=2, frequencies=32, max_frequency=10.0, key=keys[13]
)


@eqx.filter_jit
def torus_step(score, state, key):
    batch_key, time_key, key = jr.split(key, 3)
    x0 = rgen.datasets.minibatch(batch_key, angles, batch)
    t = on_plane.stratified_times(time_key, batch)

    def loss(score):
        weight = rgen.losses.variance_weight
        one = partial(rgen.losses.denoising, score, on_plane, weight=weight)
        return jnp.mean(jax.vmap(one)(x0, t, jr.split(key, batch)))

    updates, state = optim.update(eqx.filter_grad(loss)(score), state)
    return eqx.apply_updates(score, updates), state


state = optim.init(eqx.filter(backbone, eqx.is_inexact_array))
for key in tqdm(jr.split(keys[14], 800), desc="torus"):
    backbone, state = torus_step(backbone, state, key)


# %%
class Known(eqx.Module):
    angle: float
    error: float

    def __call__(self, x):
        gap = (x[0] - self.angle + jnp.pi) % (2 * jnp.pi) - jnp.pi
        return -((gap / self.error) ** 2) / 2


known = Known(np.deg2rad(-95.0), np.deg2rad(10.0))
found = rgen.TwistedSampler(1024, 60)(backbone, on_plane, known, keys[15], known.error)

psi = np.linspace(-np.pi, np.pi, 72, endpoint=False)
phi = known.angle + known.error * np.linspace(-3, 3, 9)
grid = np.stack(np.meshgrid(phi, psi), axis=-1).reshape(-1, 2)
grid = (grid + np.pi) % (2 * np.pi) - np.pi
grid = jnp.asarray(grid, jnp.float32)
log_p = rgen.log_prob(rgen.ScoreModel(backbone, on_plane, flow=flow), grid)
density = np.exp(log_p + jax.vmap(known)(grid)).reshape(len(psi), len(phi)).sum(1)
density /= density.sum() * (psi[1] - psi[0])

weights = np.exp(found.log_weights)
sheet = lambda x: np.cos(x - np.deg2rad(135)) > 0  # within 90° of a beta sheet
share = weights @ sheet(np.asarray(found.points[:, 1]))
truth = density @ sheet(psi) * (psi[1] - psi[0])
print(f"in a sheet: {share:.3f} of the particles, {truth:.3f} by quadrature")
print(f"effective sample size {found.effective_sizes[-1]:.0f} of 1024")
print(f"smallest on the way   {found.effective_sizes.min():.0f}")

figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
bins = np.linspace(-180, 180, 73)
at = np.rad2deg(found.points[:, 1])
ax.hist(at, bins, weights=weights / 5, color=BLUE, alpha=0.5, label="particles")
ax.plot(np.rad2deg(psi), np.deg2rad(density), color=RED, label="quadrature")
ax.set(xlabel=r"$\psi$ (degrees)", xticks=range(-180, 181, 60), yticks=[])
ax.set_title(r"$p(\psi \mid \phi = -95°)$")
ax.spines[["top", "right", "left"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What to change first
#
# - **Steps**: this training takes half a minute. Notebook 1 trains for two minutes, and
#   is ahead of its mixture.
# - **The condition**: any array, or pytree of arrays. `eqx.nn.Embedding` embeds a
#   class, `rgen.nn.PointFeatures(manifold)` a point of another manifold.
# - **The likelihood**: any function of a point that returns a scalar. Independent
#   observations add.
# - **Narrow likelihoods**: narrow the distance to 100 km, with and without its width,
#   and watch the smallest effective sample size.
# - **The weight** of classifier-free guidance: it may be a function of the time, such
#   as `lambda t: 1 + 2 * (t < 0.7)`.
# - **The noise level**: `min_variance = 1e-4` shows more detail, and needs more steps.
