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
# # Poses
#
# A pose is a rotation and a position, a point of $SO(3) \times \mathbb R^3$. You will
# noise each factor by a process of its own, train one score model of both, and see that
# it has learnt how orientation and position depend on each other. The data have a known
# density: cameras on a ring that look at its centre.
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
from jax.scipy.stats import norm
from tqdm.auto import tqdm

import rgen


BLUE, RED = "#1f4e79", "#d1342f"
plt.rcParams["figure.dpi"] = 100
so3, space = rgen.SpecialOrthogonal(3), rgen.Euclidean(3)
poses = rgen.Product(so3, space)

# %% [markdown]
# ## Cameras that look at the centre
#
# The target is a distribution of our own: it defines `log_prob` and `sample` of one
# point. First the positions, a ring around the z axis. Its radius and height are
# normal, and $1 / 2 \pi \rho$ is the density of the angle, per length.


# %%
class Ring(rgen.AbstractDistribution):
    manifold: rgen.Euclidean = space
    radius: float = 1.5
    spread: float = 0.1

    def log_prob(self, x):
        distance = jnp.hypot(x[0], x[1])
        across = norm.logpdf(distance, self.radius, self.spread)
        height = norm.logpdf(x[2], 0.0, self.spread)
        return across + height - jnp.log(2 * jnp.pi * distance)

    def sample(self, key):
        angle_key, key = jr.split(key)
        angle = jr.uniform(angle_key, maxval=2 * jnp.pi)
        across, height = self.spread * jr.normal(key, (2,))
        distance = self.radius + across
        return jnp.array([distance * jnp.cos(angle), distance * jnp.sin(angle), height])


# %% [markdown]
# Then the poses. The columns of a camera's rotation are the directions to its right,
# down and forward. It looks at the centre, up to a wrapped normal error of 0.1 radians.
# A point of a product is one vector, which `split` takes apart and `join` puts
# together.


# %%
def look_at_centre(position):
    forward = -position / jnp.linalg.norm(position)
    right = jnp.cross(forward, jnp.array([0.0, 0.0, 1.0]))
    right = right / jnp.linalg.norm(right)
    return jnp.stack([right, jnp.cross(forward, right), forward], axis=1)


class Cameras(rgen.AbstractDistribution):
    manifold: rgen.Product = poses
    ring: Ring = Ring()
    error: float = 0.1

    def orientation(self, position):
        """The distribution of the orientation at a position."""
        return rgen.WrappedNormal(so3, look_at_centre(position), self.error)

    def log_prob(self, x):
        rotation, position = poses.split(x)
        conditional = self.orientation(position).log_prob(rotation)
        return self.ring.log_prob(position) + conditional

    def sample(self, key):
        position_key, key = jr.split(key)
        position = self.ring.sample(position_key)
        return poses.join(self.orientation(position).sample(key), position)


# %%
cameras = Cameras()
data_key, test_key, marginal_key, noise_key, *keys = jr.split(jr.key(0), 8)
train = rgen.sample(cameras, data_key, 20_000)
test = rgen.sample(cameras, test_key, 512)
print(f"{len(train)} poses, vectors of {train.shape[1]} numbers")

# %% [markdown]
# The comparison is the product of the marginals: it has the right positions and the
# right orientations, and knows nothing of their dependence. The marginal of the
# orientation is the average of the conditional ones over the positions, estimated here
# by 512 of them.

# %%
positions = rgen.sample(cameras.ring, marginal_key, 512)
orientations = rgen.Mixture(
    eqx.filter_vmap(cameras.orientation)(positions), jnp.zeros(len(positions))
)
marginals = rgen.ProductDistribution(orientations, cameras.ring)

# %% [markdown]
# ## A process for each factor
#
# Brownian motion on $SO(3)$ ends in uniform rotations. $\mathbb R^3$ has no uniform
# distribution, and takes an Ornstein-Uhlenbeck process, which ends in a standard normal
# one. Each keeps its schedule and its exact kernel; `ProductProcess` runs them on one
# clock.

# %%
min_variance = 5e-4
process = rgen.ProductProcess(
    rgen.Brownian(so3, rgen.LogUniformSchedule(min_variance)),
    rgen.OrnsteinUhlenbeck(space, rgen.LogUniformSchedule(min_variance)),
)
for t in (0.0, 1.0):
    v = process.schedule.variance(jnp.array(t))
    print(f"t = {t}: variance {v[0]:.4f} rad² of rotations, {v[1]:.4f} of positions")


# %%
def draw(ax, x, title):
    rotations, positions = jax.vmap(poses.split)(x)
    rgen.plot.triads(ax, rotations, positions, length=0.45)
    ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), zlim=(-1.6, 1.6), title=title)
    ax.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2], zticks=[-1, 0, 1])
    ax.set_box_aspect((4.4, 4.4, 3.2), zoom=1.05)
    ax.view_init(elev=38, azim=-60)
    ax.tick_params(labelsize="small", pad=-2)


figure, axes = plt.subplots(
    1, 4, figsize=(14, 3.6), subplot_kw={"projection": "3d"}, layout="constrained"
)
noise_keys = jr.split(noise_key, 40)
for ax, t in zip(axes, (0.0, 0.6, 0.8, 1.0), strict=True):
    noisy = jax.vmap(process.sample, (0, None, 0))(train[:40], jnp.array(t), noise_keys)
    draw(ax, noisy, f"t = {t}")
plt.show()

# %% [markdown]
# ## Training
#
# The denoising loss takes one weight for each factor, so that rotations and positions
# count alike at every time. The field sees both parts of the noised pose: that is how
# it learns their dependence.

# %%
score = rgen.nn.ScoreField(
    process, width=128, depth=3, frequencies=128, max_frequency=3.0, key=keys[0]
)


# %%
def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


steps, batch = 3000, 512
schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
state = optim.init(eqx.filter(score, eqx.is_inexact_array))


@eqx.filter_jit
def step(score, state, data, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


losses = []
for key in tqdm(jr.split(keys[1], steps), desc="training"):
    score, state, loss = step(score, state, train, key)
    losses.append(loss)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
rgen.plot.training_curve(ax, losses)
ax.set_title("denoising loss")
plt.show()

# %% [markdown]
# ## Held-out likelihood
#
# The NLL of 512 fresh poses, in nats. That of the target is its entropy, which no model
# is below in the mean. The last column is the excess over the target, with its standard
# error. For the product of the marginals it is the mutual information of orientation
# and position.

# %%
controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
model = rgen.ScoreModel(score, process, flow=flow)
log_probs = {
    "target": rgen.log_prob(cameras, test),
    "score model": rgen.log_prob(model, test),
    "product of marginals": rgen.log_prob(marginals, test),
    "prior": rgen.log_prob(process.prior, test),
}
print(f"{'':<22}{'NLL':>8}{'excess':>9}")
for name, log_prob in log_probs.items():
    gap = log_probs["target"] - log_prob
    error = jnp.std(gap) / len(test) ** 0.5
    print(f"{name:<22}{-jnp.mean(log_prob):8.2f}{jnp.mean(gap):9.2f} ± {error:.2f}")

# %% [markdown]
# ## Samples
#
# Forty poses each, as triads: red to the right, green down, blue forward. In the data
# and in the model, blue points to the centre. In the product of the marginals it points
# in any horizontal direction.

# %%
count = 2000
shown = {
    "data": train[:count],
    "model": rgen.sample(model, keys[2], count, progress=partial(tqdm, desc="samples")),
    "product of marginals": rgen.sample(marginals, keys[3], count),
}
figure, axes = plt.subplots(
    1, 3, figsize=(14, 4.4), subplot_kw={"projection": "3d"}, layout="constrained"
)
for ax, (name, x) in zip(axes, shown.items(), strict=True):
    draw(ax, x[:40], name)
plt.show()

# %% [markdown]
# ## The dependence, in numbers
#
# The angle between where a camera looks and where the centre is, over 2,000 samples.
# For the target it is about $0.1 \sqrt{\pi / 2}$ radians, 7.2°, in the mean; two
# directions without dependence are 90° apart in the mean.


# %%
def miss(x):
    """The angle between the viewing direction and that to the centre, in radians."""
    rotation, position = poses.split(x)
    return rgen.Sphere(2).dist(rotation[:, 2], -position / jnp.linalg.norm(position))


misses = {name: np.rad2deg(jax.vmap(miss)(x)) for name, x in shown.items()}
print(f"{'':<22}{'mean':>8}{'median':>9}{'95 %':>9}")
for name, degrees in misses.items():
    middle, most = np.percentile(degrees, [50, 95])
    print(f"{name:<22}{degrees.mean():7.1f}°{middle:8.1f}°{most:8.1f}°")

figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
for (name, degrees), color in zip(misses.items(), (BLUE, RED, "#8a877f"), strict=True):
    bins = np.arange(0, 181, 1.5)
    style = dict(histtype="step", density=True, color=color, linewidth=1.4)
    ax.hist(degrees, bins, label=name, **style)
ax.set_yscale("log")
ax.set(xlabel="angle to the centre (degrees)", ylabel="density (1 / degree)")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What to change first
#
# - **Your poses**: `jax.vmap(poses.join)(rotations, positions)` makes the array. Scale
#   the positions so that their standard deviation is about 1, that of the prior.
# - **The schedules**: give the positions another `v_min` where they are known better
#   than the rotations. All schedules of a product run from 0 to 1.
# - **The error of the cameras**: with `error=0.02` the dependence is sharper, and needs
#   a lower noise level and more steps.
# - **More factors**: add a camera's field of view as `rgen.Euclidean(1)`, or a joint's
#   angle as `rgen.Torus(1)`, each with a process of its own.
# - **The sampler**: `rgen.ScoreModel(score, process, rgen.ProbabilityFlow())` samples
#   by the ODE.
