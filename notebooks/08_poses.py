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
# simulate grasps of a can, noise rotations and positions each by a process of their
# own, and train a score model that keeps the symmetry of the gripper. All positions are
# in centimetres. The density of the grasps is known, so that you can see what the model
# misses.
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
from scipy.linalg import block_diag
from tqdm.auto import tqdm

import rgen


BLUE, RED, GREY = "#1f4e79", "#d1342f", "#8a877f"
plt.rcParams["figure.dpi"] = 100
so3, space = rgen.SpecialOrthogonal(3), rgen.Euclidean(3)
poses = rgen.Product(so3, space)

# %% [markdown]
# ## Grasps of a can
#
# A can of 12 cm stands upright at the origin. A gripper closes along its x axis, and
# approaches along its z axis, the third column $a$ of its rotation $R$. Its wrist is
# 10 cm behind the point between its fingertips. A grasp is simulated in three steps:
#
# 1. **How the gripper is tilted.** The third row of $R$ is the direction up, as the
#    gripper sees it. It has a mixture $q$ of two wrapped normals of 9°: grasps from
#    above, and from the side, 20° above the horizontal. After half a turn about its z
#    axis the gripper is the same, so $q$ is symmetrised.
# 2. **From which side**, the azimuth about the axis of the can: uniform, as the can is
#    round. Hence the rotation has the density $q(R_3) / 2\pi$.
# 3. **Where it closes**: on the axis of the can, at a height of $5 - 4 a_z$ cm, lower
#    down for grasps from the side. The error is normal, 0.7 cm across the axis and
#    1.5 cm along it.


# %%
class Grasps(rgen.AbstractDistribution):
    up: rgen.AbstractDistribution
    manifold: rgen.Product = poses
    reach: float = 10.0

    def wrist(self, rotation):
        """The distribution of the position, given the rotation."""
        approach = rotation[:, 2]
        closing = jnp.zeros(3).at[2].set(5 - 4 * approach[2])
        mean = closing - self.reach * approach
        return rgen.WrappedNormal(space, mean, jnp.array([0.7, 0.7, 1.5]))

    def log_prob_of_rotation(self, rotation):
        return self.up.log_prob(rotation[2]) - jnp.log(2 * jnp.pi)

    def log_prob(self, x):
        rotation, position = poses.split(x)
        conditional = self.wrist(rotation).log_prob(position)
        return self.log_prob_of_rotation(rotation) + conditional

    def sample(self, key):
        up_key, turn_key, key = jr.split(key, 3)
        up = self.up.sample(up_key)
        turn = jr.uniform(turn_key, maxval=2 * jnp.pi)
        across = jnp.array([jnp.cos(turn), jnp.sin(turn)]) @ rgen.Sphere(2).basis(up)
        rotation = jnp.stack([across, jnp.cross(up, across), up])
        return poses.join(rotation, self.wrist(rotation).sample(key))


tilt = np.deg2rad(20)
ups = jnp.array([[0, 0, -1], [0, np.cos(tilt), -np.sin(tilt)]])
kinds = rgen.Mixture(
    eqx.filter_vmap(lambda up: rgen.WrappedNormal(rgen.Sphere(2), up, 0.16))(ups),
    jnp.log(jnp.array([0.4, 0.6])),
)
half_turn = rgen.symmetry.cyclic(2)
group = rgen.symmetry.FiniteGroup(rgen.Sphere(2), half_turn)
grasps = Grasps(rgen.symmetry.SymmetrisedDistribution(kinds, group))

data_key, noise_key, *keys = jr.split(jr.key(0), 6)
train, test = jnp.split(rgen.sample(grasps, data_key, 20_256), [20_000])
print(f"{len(train)} poses, vectors of {train.shape[1]} numbers")

# %% [markdown]
# A point of a product is one vector, which `split` takes apart and `join` puts
# together. Each gripper below is drawn from its wrist to its fingertips.

# %%
AROUND, HEIGHT = np.meshgrid(np.linspace(0, 2 * np.pi, 40), [0, 12])
PALM, TIP = 6.0, 10.0
GRIPPER = np.array([[0, 0, 0], [0, 0, PALM], [np.nan] * 3, [-4, 0, TIP], [-4, 0, PALM],
                    [4, 0, PALM], [4, 0, TIP], [np.nan] * 3])  # fmt: skip


def draw(ax, x, title):
    x_can, y_can = 3.3 * np.cos(AROUND), 3.3 * np.sin(AROUND)
    ax.plot_surface(x_can, y_can, HEIGHT, color=RED, alpha=0.3, linewidth=0)
    for rotation, position in map(poses.split, x):
        ax.plot(*(position + GRIPPER @ rotation.T).T, color=BLUE, linewidth=1.2)
    ax.set(xlim=(-14, 14), ylim=(-14, 14), zlim=(0, 22), title=title)
    ax.set(xticks=[-10, 0, 10], yticks=[-10, 0, 10])
    ax.set_zticks([0, 10, 20], ["0", "10", "20 cm"])
    ax.set_box_aspect((28, 28, 22), zoom=1.15)
    ax.view_init(elev=20, azim=-60)
    ax.tick_params(labelsize="small", pad=-2)


# %% [markdown]
# ## Units
#
# The processes below expect positions whose standard deviation is about 1. An
# `AffineChart` maps such normalised poses to poses in centimetres, and leaves rotations
# alone. One scale for all three directions keeps space isotropic. The score is trained
# on normalised poses; `Pushforward` carries the model back, with the change of
# variables in its density.

# %%
positions = jax.vmap(poses.split)(train)[1]
units = rgen.AffineChart(poses, positions.mean(0), positions.std())
normalised = jax.vmap(units.to_chart)(train)
print(f"centre {np.round(units.offset, 1)} cm, scale {units.scale:.1f} cm")

# %% [markdown]
# ## A process for each factor
#
# Brownian motion on $SO(3)$ ends in uniform rotations. $\mathbb R^3$ has no uniform
# distribution, and takes an Ornstein–Uhlenbeck process, which ends in a standard normal
# one. Each keeps its schedule and its exact kernel; `ProductProcess` runs them on one
# clock.

# %%
process = rgen.ProductProcess(
    rgen.Brownian(so3, rgen.LogUniformSchedule(5e-4)),
    rgen.OrnsteinUhlenbeck(space, rgen.LogUniformSchedule(5e-4)),
)
noise = np.sqrt(process.schedule.variance(jnp.array(0.0)))
print(f"noise at t = 0: {np.rad2deg(noise[0]):.1f}°, {noise[1] * units.scale:.2f} cm")


# %%
@eqx.filter_jit
def noised(x, t, keys):
    noisy = jax.vmap(process.sample, (0, None, 0))(x, t, keys)
    return jax.vmap(units.to_manifold)(noisy)


figure, axes = plt.subplots(
    1, 4, figsize=(14, 3.6), subplot_kw={"projection": "3d"}, layout="constrained"
)
for ax, t in zip(axes, (0.0, 0.5, 0.7, 1.0), strict=True):
    noisy = noised(normalised[:10], jnp.array(t), jr.split(noise_key, 10))
    draw(ax, noisy, f"t = {t}")
plt.show()

# %% [markdown]
# ## Training
#
# The gripper looks the same after half a turn about its z axis, $R \mapsto R\,Q$.
# Both processes keep this symmetry, so the scores are equivariant at every time:
# `SymmetrisedField` averages the network over the group, and is so exactly. The group
# acts on a whole pose, a vector of twelve numbers, and leaves positions alone.

# %%
turns = rgen.symmetry.right_rotations(half_turn).matrices
group = rgen.symmetry.FiniteGroup(
    poses, np.stack([block_diag(turn, np.eye(3)) for turn in turns])
)
field = rgen.nn.ScoreField(
    process, width=128, depth=3, frequencies=128, max_frequency=3.0, key=keys[0]
)

# %% [markdown]
# The denoising loss takes one weight for each factor, so that rotations and positions
# count alike at every time. The field sees both parts of the noised pose: that is how
# it learns their dependence.


# %%
def batch_loss(field, x0, key):
    score = rgen.symmetry.SymmetrisedField(field, group)
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


steps, batch = 3000, 256
schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
state = optim.init(eqx.filter(field, eqx.is_inexact_array))


@eqx.filter_jit
def step(field, state, data, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(field, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(field, updates), state, loss


losses = []
for key in tqdm(jr.split(keys[1], steps), desc="training"):
    field, state, loss = step(field, state, normalised, key)
    losses.append(loss)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
rgen.plot.training_curve(ax, losses)
ax.set_title("denoising loss")
plt.show()

# %% [markdown]
# ## Held-out likelihood
#
# The NLL of 256 fresh grasps, in nats; densities are per cubic centimetre. That of the
# target is its entropy, which no model is below in the mean. The last column is the
# excess over the target, with its standard error.
#
# The comparison is the product of the marginals: it has the right positions and the
# right rotations, and knows nothing of their dependence. The marginal of the position
# is the average of the conditional ones over the rotations, estimated here by those of
# 1,024 training poses. Its excess is the mutual information of rotation and position.

# %%
rotations, positions = jax.vmap(poses.split)(test)
wrists = eqx.filter_vmap(grasps.wrist)(jax.vmap(poses.split)(train[:1024])[0])
position = rgen.Mixture(wrists, jnp.zeros(1024))
independent = jax.jit(jax.vmap(grasps.log_prob_of_rotation))(rotations)
independent += rgen.log_prob(position, positions)

controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
score = rgen.symmetry.SymmetrisedField(field, group)
model = rgen.ScoreModel(score, process, rgen.ReverseSDE(100), flow)
model = rgen.Pushforward(units, model)
turned = jax.vmap(group.act, (None, 0))(1, test[:32])
ours = rgen.log_prob(model, jnp.concatenate([test, turned]))
log_probs = {
    "target": rgen.log_prob(grasps, test),
    "score model": ours[:256],
    "product of marginals": independent,
    "prior": rgen.log_prob(rgen.Pushforward(units, process.prior), test),
}
print(f"{'':<22}{'NLL':>8}{'excess':>9}")
for name, log_prob in log_probs.items():
    gap = log_probs["target"] - log_prob
    error = jnp.std(gap) / len(test) ** 0.5
    print(f"{name:<22}{-jnp.mean(log_prob):8.2f}{jnp.mean(gap):9.2f} ± {error:.2f}")

change = jnp.mean(jnp.abs(ours[256:] - ours[:32]))
print(f"after half a turn the log-density differs by {change:.0e}, the solver's error")

# %% [markdown]
# ## Samples
#
# In the data and in the model, the fingertips are on the two sides of the can. In the
# product of the marginals, a rotation with the position of another grasp, the gripper
# points anywhere.

# %%
count = 512
rotations, positions = jax.vmap(poses.split)(train[:count])
shown = {
    "data": train[:count],
    "model": rgen.sample(model, keys[2], count),
    "product of marginals": jax.vmap(poses.join)(rotations, jnp.roll(positions, 1, 0)),
}
figure, axes = plt.subplots(
    1, 3, figsize=(14, 4.6), subplot_kw={"projection": "3d"}, layout="constrained"
)
for ax, (name, x) in zip(axes, shown.items(), strict=True):
    draw(ax, x[:10], name)
plt.show()

# %% [markdown]
# ## Does it hold the can?
#
# The distance of the point between the fingertips from the axis of the can. For the
# target it is $0.7 \sqrt{\pi / 2} = 0.88$ cm in the mean. The last column is the share
# of grasps that close within 2 cm of the axis, and between the table and the lid.


# %%
def closing(x):
    """The point between the fingertips, in centimetres."""
    rotation, position = poses.split(x)
    return position + grasps.reach * rotation[:, 2]


misses = {}
print(f"{'':<22}{'mean':>10}{'median':>10}{'holds':>8}")
for name, x in shown.items():
    point = np.asarray(jax.vmap(closing)(x))
    miss, height = np.hypot(point[:, 0], point[:, 1]), point[:, 2]
    holds = np.mean((miss < 2) & (height > 0) & (height < 12))
    print(f"{name:<22}{miss.mean():7.2f} cm{np.median(miss):7.2f} cm{holds:8.0%}")
    misses[name] = miss

figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
for (name, miss), color in zip(misses.items(), (BLUE, RED, GREY), strict=True):
    style = dict(histtype="step", density=True, color=color, linewidth=1.4)
    ax.hist(miss, np.arange(0, 25, 0.25), label=name, **style)
ax.set_yscale("log")
ax.set(xlabel="distance from the axis (cm)", ylabel="density (1 / cm)")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What to change first
#
# - **Your poses**: `jax.vmap(poses.join)(rotations, positions)` makes the array, in any
#   unit of length. `AffineChart` takes its centre and its scale from them.
# - **The gripper**: a suction cup is the same after any turn, and four of them are
#   `rgen.symmetry.cyclic(4)`. For a gripper without a symmetry leave out the group.
# - **The schedules**: give the positions another `v_min` where they are known better
#   than the rotations. All schedules of a product run from 0 to 1.
# - **More factors**: add the opening of the gripper as `rgen.Euclidean(1)`, or a
#   joint's angle as `rgen.Torus(1)`, each with a process of its own.
# - **Several poses at once**: `rgen.PowerProcess(process, n)` noises `n` of them,
#   points of `rgen.Power(poses, n)`.
