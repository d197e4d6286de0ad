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
# # A manifold of your own
#
# Write down the equation of a surface, or a metric in coordinates, and rgen derives its
# geodesics, its Brownian motion and generative models on it. This notebook defines the
# same torus in both ways, checks one of them, and trains a model on the other.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax
from tqdm.auto import tqdm

import rgen
from rgen import plot


BLUE, RED = "#1f4e79", "#d1342f"

# %% [markdown]
# ## From an equation
#
# A *level set* is the set of points $x$ with $c(x) = 0$, with the metric of the
# surrounding space. A torus of revolution is the set of points at distance $1/2$ from a
# circle of radius 1. `radius` is that of a ball around the origin that contains the
# surface, and `crossings` is the largest number of points in which a line meets it.
# rgen uses both to sample the uniform distribution.


# %%
class Torus(rgen.AbstractLevelSet):
    dim = 2
    point_shape = (3,)
    radius = 1.5
    crossings = 4

    @property
    def origin(self):
        return jnp.array([1.5, 0.0, 0.0])

    def constraint(self, x):
        return (jnp.hypot(x[0], x[1]) - 1) ** 2 + x[2] ** 2 - 0.25


torus = Torus()

# %% [markdown]
# ## From a metric
#
# The same surface has two angles as coordinates: $a$ around the axis, and $b$ around
# the tube. Its metric is $(1 + \tfrac12 \cos b)^2\, \mathrm da^2 + \tfrac14\, \mathrm
# db^2$, and both angles have period $2\pi$.


# %%
class AngleTorus(rgen.AbstractMetricManifold):
    dim = 2
    periods = (2 * math.pi, 2 * math.pi)

    def metric(self, x):
        return jnp.diag(jnp.array([(1 + 0.5 * jnp.cos(x[1])) ** 2, 0.25]))


angles = AngleTorus()


def to_space(x):
    a, b = x
    r = 1 + 0.5 * jnp.cos(b)
    return jnp.array([r * jnp.cos(a), r * jnp.sin(a), 0.5 * jnp.sin(b)])


# %% [markdown]
# ## The checker
#
# `rgen.testing.check_manifold` tests about forty identities at random points. For
# example, geodesics keep their speed, the connection is metric, the divergence agrees
# with derivatives along geodesics, and samples of `uniform` are uniform. A mistake in
# your equation or metric shows here, before it makes a model slightly wrong. The
# checker skips what you did not define, and says why.

# %%
report = rgen.testing.check_manifold(angles, jr.key(0), radius=0.5, n=8)
worst = max(value / bound for value, bound in report.residuals.values() if bound)
print(f"{len(report.residuals)} identities hold")
print(f"the worst residual is {worst:.0%} of its tolerance")
print(f"skipped: {', '.join(report.skipped)}")

# %% [markdown]
# The two tori have the same area and the same geodesics. `exp` solves the geodesic
# equation with Diffrax. The area is an integral of the metric, or an average over
# random lines that cross the surface.

# %%
start, velocity = jnp.array([0.3, 0.8]), jnp.array([1.1, -1.6])
in_space, push = jax.jvp(to_space, (start,), (velocity,))
ends = [
    to_space(angles.exp(start, velocity)),
    torus.exp(in_space, push),
]
print("geodesic from the metric:  ", ends[0])
print("geodesic from the equation:", ends[1])
areas = [math.exp(manifold.log_volume) for manifold in (angles, torus)]
print("areas: {:.3f}, {:.3f}, exactly {:.3f}".format(*areas, 2 * math.pi**2))

# %%
view = plot.SurfaceView(torus, longitude=30.0, latitude=40.0)
lengths = jnp.linspace(0.0, 9.0, 120)
directions = torus.basis(torus.origin)
turns = jnp.deg2rad(jnp.array([10.0, 35.0, 60.0]))
velocities = jnp.cos(turns)[:, None] * directions[0]
velocities = velocities + jnp.sin(turns)[:, None] * directions[1]
along = jax.vmap(lambda v: jax.vmap(lambda s: torus.exp(torus.origin, s * v))(lengths))
geodesics = jax.jit(along)(velocities)
uniform = rgen.sample(rgen.Uniform(torus), jr.key(1), 1500)

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for ax in axes:
    plot.frame(ax, view)
plot.trajectories(axes[0], view, geodesics)
axes[0].set_title("Three geodesics from one point")
plot.points(axes[1], view, uniform, color=BLUE)
axes[1].set_title("1,500 uniform points")
plt.show()

# %% [markdown]
# ## Data with a known density
#
# The angles $a$ and $b$ have von Mises densities $\propto e^{\kappa \cos}$ around two
# points of the torus. To get the density with respect to area, we divide by the area
# element $\tfrac12 (1 + \tfrac12 \cos b)$. The entropy is the best negative
# log-likelihood that a model can reach.

# %%
centres = jnp.array([[0.6, 0.3], [2.6, -1.2]])
kappa = 12.0


def log_target(x):
    """The log-density with respect to the area, of the angles `x`."""
    each = kappa * (jnp.cos(x - centres) - 1).sum(1)
    log_z = 2 * (jnp.log(2 * jnp.pi) + jnp.log(jax.scipy.special.i0e(kappa)))
    mixture = jax.nn.logsumexp(each) - jnp.log(2.0) - log_z
    return mixture - jnp.log(0.5 * (1 + 0.5 * jnp.cos(x[1])))


rng = np.random.default_rng(0)
pick = rng.integers(2, size=12_000)
sampled = rng.vonmises(np.asarray(centres)[pick], kappa)
entropy = -float(jnp.mean(jax.vmap(log_target)(jnp.asarray(sampled, jnp.float32))))
data = jax.jit(jax.vmap(to_space))(jnp.asarray(sampled, jnp.float32))
train, test = data[:11_000], data[11_000:]
print(f"entropy {entropy:.3f}, uniform {torus.log_volume:.3f} nats")

# %% [markdown]
# ## A model on it
#
# This torus has no known heat kernel. So the noising process is a geodesic random walk,
# and the loss is one that doesn't need the kernel: the sliced score-matching loss
# $\langle u, s\rangle^2 + 2\, \langle u, \nabla_u s\rangle$ with a random tangent
# vector $u$. Geodesic steps of any length leave the uniform distribution invariant, so
# it is the prior even of a walk of ten long steps.

# %%
process = rgen.Brownian(
    torus,
    rgen.LogUniformSchedule(v_min=1e-2, v_max=4.0),
    rgen.RandomWalkKernel(torus, steps=10),
)
score = rgen.nn.ScoreField(
    process, width=64, depth=3, frequencies=32, max_frequency=6.0, key=jr.key(2)
)
steps, batch = 1500, 256
optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))

    def one(x0, t, key):
        weight = rgen.losses.variance_weight
        return rgen.losses.sliced(score, process, x0, t, key, weight)

    return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, len(x0))))


@eqx.filter_jit
def step(score, state, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, train, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


state = optim.init(eqx.filter(score, eqx.is_inexact_array))
losses = []
for key in tqdm(jr.split(jr.key(3), steps), desc="training"):
    score, state, loss = step(score, state, key)
    losses.append(loss)
print(f"mean loss of the last 500 steps: {np.mean(losses[-500:]):.3f}")

# %% [markdown]
# ## Density and samples
#
# A `rgen.ScoreModel` is a distribution, on this surface as on any other manifold. Its
# density integrates to one. We check this by the trapezoidal rule in the two angles,
# with the area element $\tfrac12 (1 + \tfrac12 \cos b)$. The density is that of the
# data with noise of variance 0.01. Its NLL is above the entropy by this noise, and by
# what 1,500 steps have not learnt.

# %%
model = rgen.ScoreModel(score, process)
nll = -float(jnp.mean(rgen.log_prob(model, test)))
n = 32
a, b = (g.ravel() for g in np.meshgrid(*[np.arange(n) * 2 * np.pi / n] * 2))
rule = jax.vmap(to_space)(jnp.stack([a, b], 1).astype(jnp.float32))
area = (2 * np.pi / n) ** 2 * 0.5 * (1 + 0.5 * np.cos(b))
mass = float(area @ np.exp(np.asarray(rgen.log_prob(model, rule), float)))
print(f"held-out NLL   {nll:.3f} nats")
print(f"entropy        {entropy:.3f}")
print(f"uniform        {torus.log_volume:.3f}")
print(f"integral of the density {mass:.4f}")

# %%
samples = rgen.sample(model, jr.key(4), 1000)
pixels = 90
grid = plot.grid(view, pixels)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for ax in axes:
    plot.frame(ax, view)
image = plot.density(axes[0], view, rgen.log_prob(model, grid), pixels)
plot.color_bar(axes[0], image)
axes[0].set_title("Density of the model")
plot.points(axes[1], view, test, color=BLUE, label="held out")
plot.points(axes[1], view, samples, color=RED, label="samples")
plot.legend(axes[1])
axes[1].set_title("Samples")
plt.show()

# %% [markdown]
# ## What to change first
#
# - **The equation.** Try an ellipsoid, or the surface of your own data. Run the checker
#   first.
# - **The metric.** Train the same model on `AngleTorus()`: only the data change.
# - **More equations.** A `constraint` with several components gives a higher
#   codimension, as for the frames of the Stiefel manifold. Then define `log_volume` and
#   `_uniform` too.
# - **The retraction.** `rgen.GeodesicRandomWalk(torus, rgen.ProjectionRetraction())`
#   projects steps instead of solving geodesics. Each step is cheaper, but you need more
#   of them. `rgen.Brownian` warns if there are too few.
