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
# # Rotations
#
# A score model of rotations, trained with the exact heat kernel of $SO(3)$ on a mixture
# whose density is known. You will move rotations and quaternions between SciPy and
# rgen, draw rotations in three ways, compare the log-likelihood with its ceiling, and
# see what happens at the angle $\pi$, where logarithms jump.
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
from scipy.spatial.transform import Rotation
from tqdm.auto import tqdm

import rgen


BLUE, RED = "#1f4e79", "#d1342f"
plt.rcParams["figure.dpi"] = 100
so3 = rgen.SpecialOrthogonal(3)

# %% [markdown]
# ## In and out
#
# A point of `rgen.SpecialOrthogonal(3)` is a rotation matrix $R$ of shape `(3, 3)`,
# which takes a vector $u$ to $R u$: its columns are where it takes the three axes.
# SciPy's `as_matrix` and `from_matrix` have the same convention. SciPy's quaternions
# are $(x, y, z, w)$, the scalar last, unless you ask for `scalar_first=True`.


# %%
def from_scipy(rotation):
    return jnp.asarray(rotation.as_matrix(), jnp.result_type(float))


def to_scipy(x):
    return Rotation.from_matrix(np.asarray(x, np.float64))


quarter = Rotation.from_quat([0.0, 0.0, np.sin(np.pi / 4), np.cos(np.pi / 4)])
image = from_scipy(quarter) @ jnp.array([1.0, 0.0, 0.0])
print("a quarter turn about the z axis takes the x axis to", np.round(image, 6))

# %% [markdown]
# A test of the way there and back, with random quaternions. A quaternion and its
# negative are the same rotation, so we compare rotations. What is left is rounding:
# rgen computes in float32 here, SciPy in float64.

# %%
quaternions = np.random.default_rng(0).normal(size=(1000, 4))
quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
there = rgen.check_points(so3, from_scipy(Rotation.from_quat(quaternions)))
back = to_scipy(there)
error = (back.inv() * Rotation.from_quat(-quaternions)).magnitude()
overlap = np.abs(np.sum(back.as_quat() * quaternions, axis=1))
print(f"largest angle between a rotation and its copy: {error.max():.1e} rad")
print(f"smallest |<q, q'>| of the quaternions: {overlap.min():.9f}")

# %% [markdown]
# The distance is the rotation angle between two rotations, in radians, and `exp` and
# `log` are geodesics: turns about a fixed axis at a constant speed. Here are six
# rotations on one from the identity, each drawn as a triad of its columns (red, green,
# blue).

# %%
target = from_scipy(Rotation.from_rotvec([2.0, 1.0, 1.5]))
velocity = so3.log(so3.origin, target)
geodesic = jax.vmap(lambda s: so3.exp(so3.origin, s * velocity))(jnp.linspace(0, 1, 6))
angles = jax.vmap(so3.dist, (None, 0))(so3.origin, geodesic)
by_scipy = to_scipy(target).magnitude()
print(f"angle by rgen {angles[-1]:.6f}, by SciPy {by_scipy:.6f} rad")

figure, axes = plt.subplots(
    1, 6, figsize=(11, 2.2), subplot_kw={"projection": "3d"}, layout="constrained"
)
for ax, x, angle in zip(axes, geodesic, np.rad2deg(angles), strict=True):
    rgen.plot.triads(ax, x[None])
    ax.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1), title=f"{angle:.0f}°")
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## A target with a known density
#
# A mixture of wrapped normals, as in the paper's section on $SO(3)$ (Table 5): uniform
# means, equal weights, and scales of about $4°$. Its log-density is exact, so the mean
# over fresh samples is the highest log-likelihood that any model can reach.

# %%
components = 16
mean_key, scale_key, data_key, init_key, train_key, test_key, sample_key = jr.split(
    jr.key(0), 7
)
means = jax.vmap(so3.uniform)(jr.split(mean_key, components))
scales = (2 * jr.gamma(scale_key, 100.0, (components,))) ** -0.5
wrapped = eqx.filter_vmap(partial(rgen.WrappedNormal, so3))(means, scales)
truth = rgen.Mixture(wrapped, jnp.zeros(components))

train = rgen.sample(truth, data_key, 50_000)
test = rgen.sample(truth, test_key, 1000)
print(f"scales from {np.rad2deg(scales.min()):.1f} to {np.rad2deg(scales.max()):.1f}°")

# %% [markdown]
# ## Training
#
# Brownian motion on $SO(3)$ turns the data into uniformly distributed rotations. Its
# heat kernel is exact, so the denoising loss has an exact target. The network gives
# three numbers, the coefficients of an element of the Lie algebra. The noise level, a
# variance of $2.5 \cdot 10^{-4}$ or 0.9°, is a twentieth of the variance of a
# component.

# %%
min_variance = 2.5e-4
process = rgen.Brownian(so3, rgen.LogUniformSchedule(min_variance, 5.0))
score = rgen.nn.ScoreField(
    process,
    width=128,
    depth=3,
    frequencies=256,
    max_frequency=4.0,
    parametrisation=rgen.nn.LieAlgebra(),
    key=init_key,
)


# %%
def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


steps, batch = 2000, 512
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
for key in tqdm(jr.split(train_key, steps), desc="training"):
    score, state, loss = step(score, state, train, key)
    losses.append(loss)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
rgen.plot.training_curve(ax, losses)
ax.set_title("denoising loss")
plt.show()

# %% [markdown]
# ## Log-likelihood
#
# The mean log-density of 1,000 fresh samples of the target, in nats. The target itself
# is the ceiling: its mean is minus its entropy. The uniform distribution is the floor,
# $-\log 8\pi^2$. The last column is what is missing to the ceiling, with its standard
# error.

# %%
controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
model = rgen.ScoreModel(score, process, flow=flow)
log_probs = {
    "target": rgen.log_prob(truth, test),
    "score model": rgen.log_prob(model, test),
    "uniform": rgen.log_prob(rgen.Uniform(so3), test),
}
print(f"{'':<14}{'log-likelihood':>14}{'missing':>12}")
for name, log_prob in log_probs.items():
    gap = log_probs["target"] - log_prob
    error = jnp.std(gap) / len(test) ** 0.5
    print(f"{name:<14}{jnp.mean(log_prob):14.2f}{jnp.mean(gap):12.2f} ± {error:.2f}")

# %% [markdown]
# ## Rotations, drawn
#
# On the map, a dot is where a rotation takes the x axis, and its colour is the tilt
# about that direction. A component is a cluster of one colour; the model should have
# the same clusters in the same colours.

# %%
samples = rgen.sample(model, sample_key, 2000, progress=partial(tqdm, desc="samples"))

world = rgen.plot.Mollweide()
figure, axes = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
for ax, x, title in zip(axes, (train[:2000], samples), ("data", "model"), strict=True):
    rgen.plot.frame(ax, world)
    rgen.plot.rotations(ax, world, x)
    ax.set_title(title)
rgen.plot.color_wheel(axes[1])
plt.show()

# %% [markdown]
# The paper's Figure 3 shows Euler angles. Their histograms see one angle at a time. The
# dotted line is the uniform distribution: the middle angle is not uniform.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained")
rgen.plot.euler_histograms(axes, train[:20_000], BLUE, "data")
rgen.plot.euler_histograms(axes, samples, RED, "model")
rgen.plot.legend(axes[0])
plt.show()

# %% [markdown]
# ## At the angle $\pi$
#
# Two rotations are at most $\pi$ apart. At exactly $\pi$ there are two shortest
# geodesics, one each way around the axis: the *cut locus*. `log` returns one of them,
# and jumps where the angle passes $\pi$. The heat kernel has no jump. It counts both
# ways around, and at $\pi$ its score is zero by symmetry. The score in Varadhan's
# approximation, $\log_x(x_0) / v$ (Table 2 of the paper), does jump.

# %%
axis = so3.frame(so3.origin, jnp.array([0.0, 0.0, 1.0]))
heat, varadhan = process.kernel, rgen.VaradhanHeatKernel(so3)


def turn(angle):
    """The rotation about the z axis by an angle, and the unit vector along the turn."""
    x = so3.exp(so3.origin, angle * axis)
    return x, so3.frame(x, jnp.array([0.0, 0.0, 1.0]))


@eqx.filter_jit
def along(kernel, angle, v):
    """The component of the score along the turn."""
    x, direction = turn(angle)
    return so3.inner(x, kernel.score(so3.origin, x, v), direction)


angles = jnp.linspace(0.5, 2 * jnp.pi - 0.5, 401)
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for v, color in ((1.0, BLUE), (0.3, RED)):
    for kernel, style in ((heat, "-"), (varadhan, ":")):
        label = f"{'heat kernel' if kernel is heat else 'Varadhan'}, $v$ = {v}"
        scores = jax.vmap(partial(along, kernel), (0, None))(angles, jnp.array(v))
        ax.plot(np.rad2deg(angles), scores, style, color=color, label=label)
ax.axvline(180, color="#9a9a9a", linewidth=0.8)
ax.set(xlabel="angle of the turn (degrees)", ylabel="score along it (1 / rad)")
ax.set_xticks(range(45, 360, 45))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The numbers close to $\pi$: the distance, the length of its gradient, the length of
# the logarithm, the two scores along the turn, and the largest entry of the Jacobian of
# the heat kernel's score. The gradient of the distance keeps the length 1 up to the cut
# locus, where the distance has a ridge. Every entry is finite.


# %%
@jax.jit
def at(angle):
    x, _ = turn(angle)
    v = jnp.array(0.3)
    slope = so3.gradient(lambda y: so3.dist(so3.origin, y), x)
    derivative = jax.jacfwd(heat.score, 1)(so3.origin, x, v)
    return (
        so3.dist(so3.origin, x),
        so3.norm(x, slope),
        so3.norm(so3.origin, so3.log(so3.origin, x)),
        along(heat, angle, v),
        along(varadhan, angle, v),
        jnp.max(jnp.abs(derivative)),
    )


columns = "dist", "|grad dist|", "|log|", "heat", "Varadhan", "d heat"
print(f"{'pi - angle':>10}" + "".join(f"{name:>15}" for name in columns))
for delta in (0.1, 1e-2, 1e-3, 0.0, -1e-3, -1e-2, -0.1):
    values = at(jnp.array(np.pi - delta))
    print(f"{delta:10.3f}" + "".join(f"{float(value):15.4f}" for value in values))

# %% [markdown]
# ## What to change first
#
# - **Your rotations**: `train = from_scipy(...)`. For a data set choose the noise level
#   by the accuracy of the rotations, and hold some out.
# - **The number of components**: 32 or 64, as in Table 5. More of them need more steps.
# - **Steps**: the experiments of the paper's table, `python -m experiments.rotations`,
#   take 30,000 with a network of twice the width.
# - **The kernel**: `rgen.Brownian(so3, schedule, rgen.VaradhanHeatKernel(so3))` trains
#   with the approximation above.
# - **The group**: `rgen.SpecialOrthogonal(4)` has no heat kernel in closed form; it is
#   noised by a random walk, and trains with `rgen.losses.implicit`.
