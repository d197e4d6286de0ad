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
# # Diffrax underneath
#
# The processes of rgen are [Diffrax](https://docs.kidger.site/diffrax/) terms. So
# Diffrax's features work on a manifold: saved times, dense output, events, and a solver
# that you write yourself. This notebook solves the forward and the reverse SDE of a
# model on the sphere by hand.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
from typing import ClassVar

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
from rgen import plot


BLUE, RED = "#1f4e79", "#d1342f"
sphere = rgen.Sphere(2)
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(v_min=1e-3))
globe = plot.Orthographic(longitude=20.0, latitude=25.0)

# %% [markdown]
# ## The forward SDE, with saved times
#
# `rgen.forward_sde` is a Diffrax term. `rgen.GeodesicRandomWalk` is a Diffrax solver
# that steps along geodesics, and `rgen.BrownianGrid` is a Brownian path known at the
# times of the steps. `diffrax.SaveAt` says what to keep.

# %%
times = jnp.linspace(process.schedule.t0, process.schedule.t1, 201)
saved = jnp.linspace(process.schedule.t0, 0.75, 121)


def noised(x0, key, saveat):
    path = rgen.BrownianGrid(sphere.noise_shape, times, key)
    return diffrax.diffeqsolve(
        rgen.forward_sde(process, path),
        rgen.GeodesicRandomWalk(sphere),
        times[0],
        times[-1],
        dt0=None,
        y0=x0,
        saveat=saveat,
        stepsize_controller=diffrax.StepTo(times),
        adjoint=diffrax.ForwardMode(),
    )


london = rgen.datasets.to_unit(0.0, 51.5)
walks = jax.jit(jax.vmap(lambda key: noised(london, key, diffrax.SaveAt(ts=saved)).ys))(
    jr.split(jr.key(0), 5)
)
figure, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
plot.frame(ax, globe)
plot.coastlines(ax, globe)
plot.trajectories(ax, globe, walks)
ax.set_title("Five paths of the noising process")
plt.show()

# %% [markdown]
# ## Dense output
#
# With `SaveAt(dense=True)` the solution is a function of time. Within a step it follows
# the geodesic, so every value is a point of the sphere. A Brownian path doesn't follow
# geodesics between the steps, so take statistics only at their ends.

# %%
dense = eqx.filter_jit(noised)(london, jr.key(1), diffrax.SaveAt(dense=True))
between = jax.vmap(dense.evaluate)(jnp.array([0.1, 0.1234, 0.5, 0.9876]))
print("distance from the unit sphere:", jnp.abs(jnp.linalg.norm(between, axis=1) - 1))

# %% [markdown]
# ## Events
#
# A `diffrax.Event` stops the solve. Here it stops Brownian motion at unit speed when it
# comes within 60 degrees of the South Pole. The expected time is known. For the
# generator $\tfrac12\Delta$, a start at the North Pole and a cap of radius $\alpha$, it
# is $4 \log(1 / \sin(\alpha / 2))$.

# %%
radius = np.deg2rad(60.0)
south = jnp.array([0.0, 0.0, -1.0])


def inside(t, y, args, **_):
    return y[2] < -np.cos(radius)


def time_to_cap(key, step, n):
    grid = jnp.linspace(0.0, n * step, n + 1)
    unit_speed = rgen.Brownian(sphere, rgen.ConstantSchedule(t1=n * step))
    path = rgen.BrownianGrid(sphere.noise_shape, grid, key)
    solution = diffrax.diffeqsolve(
        rgen.forward_sde(unit_speed, path),
        rgen.GeodesicRandomWalk(sphere),
        grid[0],
        grid[-1],
        dt0=None,
        y0=-south,
        stepsize_controller=diffrax.StepTo(grid),
        event=diffrax.Event(inside),
        adjoint=diffrax.ForwardMode(),
        max_steps=n,
    )
    return solution.ts[-1]


expected = 4 * np.log(1 / np.sin(radius / 2))
print(f"mean time to the cap: {expected:.3f} in theory")
for step in (0.04, 0.01, 0.004):
    n = round(24 / step)
    hits = jax.jit(jax.vmap(lambda key, step=step, n=n: time_to_cap(key, step, n)))(
        jr.split(jr.key(2), 2000)
    )
    error = jnp.std(hits) / len(hits) ** 0.5
    print(f"  steps of {step:<7}{jnp.mean(hits):8.3f} ± {error:.3f}")

# %% [markdown]
# The event is checked only at the ends of steps, so visits to the cap in between are
# missed. The measured time is too long, by an amount that falls with the square root of
# the step.

# %% [markdown]
# ## A model
#
# The reverse process needs a score. We train a small one on the populated places of the
# Earth with the denoising loss. One training step is one compiled function.

# %%
data = rgen.datasets.populated_places()
score = rgen.nn.ScoreField(
    process, width=64, depth=3, frequencies=128, max_frequency=30.0, key=jr.key(3)
)
steps, batch = 3000, 512
optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))

    def one(x0, t, key):
        weight = rgen.losses.variance_weight
        return rgen.losses.denoising(score, process, x0, t, key, weight)

    return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, len(x0))))


@eqx.filter_jit
def step(score, state, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


state = optim.init(eqx.filter(score, eqx.is_inexact_array))
losses = []
for key in tqdm(jr.split(jr.key(4), steps), desc="training"):
    score, state, loss = step(score, state, key)
    losses.append(loss)
print(f"mean loss of the last 500 steps: {np.mean(losses[-500:]):.3f}")

# %% [markdown]
# ## The reverse SDE, step by step
#
# `rgen.sample` does this for you. By hand, solve `rgen.reverse_sde` from a sample of
# the prior along decreasing times. `process.time_grid` spaces them equally in the
# logarithm of the variance.

# %%
falling = process.time_grid(200)


def path_to_data(key):
    prior_key, noise_key = jr.split(key)
    path = rgen.BrownianGrid(sphere.noise_shape, falling, noise_key)
    return diffrax.diffeqsolve(
        rgen.reverse_sde(process, score, path),
        rgen.GeodesicRandomWalk(sphere),
        falling[0],
        falling[-1],
        dt0=None,
        y0=process.prior.sample(prior_key),
        saveat=diffrax.SaveAt(t0=True, steps=True),
        stepsize_controller=diffrax.StepTo(falling),
        adjoint=diffrax.ForwardMode(),
        max_steps=200,
    ).ys


paths = jax.jit(jax.vmap(path_to_data))(jr.split(jr.key(5), 1500))
figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for ax in axes:
    plot.frame(ax, globe)
    plot.coastlines(ax, globe)
plot.trajectories(axes[0], globe, paths[:12])
axes[0].set_title("Twelve paths of the reverse process")
plot.points(axes[1], globe, paths[:, -1], color=RED)
axes[1].set_title("Where 1,500 of them end")
plt.show()

# %% [markdown]
# ## A solver of your own
#
# The probability flow is an ODE, which any ODE solver of Diffrax can solve. The solver
# below is Heun's method along geodesics. It goes to the end of the step, transports the
# velocity found there back to the start, and steps with the mean of the two velocities.
# These four methods are all that Diffrax asks of a solver.


# %%
class GeodesicHeun(diffrax.AbstractItoSolver):
    """Heun's method along geodesics, for ODEs on a manifold. Of order 2."""

    manifold: rgen.AbstractManifold
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar = diffrax.LocalLinearInterpolation

    def order(self, terms):
        return 2

    def init(self, terms, t0, t1, y0, args):
        return None

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        control = terms.contr(t0, t1)
        v0 = terms.vf_prod(t0, y0, args, control)
        y = self.manifold.exp(y0, v0)
        v1 = self.manifold.transport(y, y0, terms.vf_prod(t1, y, args, control))
        y1 = self.manifold.exp(y0, (v0 + v1) / 2)
        return y1, None, dict(y0=y0, y1=y1), None, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)


# %% [markdown]
# rgen's samplers accept it as it is. Its error is the distance of the samples from
# those of Diffrax's `Dopri8` at a tight tolerance, started from the same points of the
# prior.

# %%
precise = diffrax.PIDController(rtol=1e-6, atol=1e-6)
truth = rgen.sample(
    rgen.ScoreModel(
        score, process, rgen.ProbabilityFlow(diffrax.Dopri8(), precise, max_steps=1000)
    ),
    jr.key(6),
    500,
)
counts = [25, 50, 100, 200, 400]
solvers = {"geodesic Euler": rgen.GeodesicRandomWalk, "geodesic Heun": GeodesicHeun}
median = {}
for name, solver in solvers.items():
    median[name] = []
    for n in counts:
        grid = diffrax.StepTo(process.time_grid(n))
        sampler = rgen.ProbabilityFlow(solver(sphere), grid)
        x = rgen.sample(rgen.ScoreModel(score, process, sampler), jr.key(6), 500)
        distance = jax.jit(jax.vmap(sphere.dist))(x, truth)
        median[name].append(float(jnp.median(distance)))

print(f"{'steps':<16}" + "".join(f"{n:>10}" for n in counts))
for name, values in median.items():
    print(f"{name:<16}" + "".join(f"{value:10.1e}" for value in values))
    rate = np.log2(values[-2] / values[-1])
    print(f"{'':<16}order {rate:.1f} at the last doubling")

# %%
figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
for (name, values), color in zip(median.items(), (BLUE, RED), strict=True):
    ax.loglog(counts, values, "o-", color=color, label=name)
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.set_xlabel("steps")
ax.set_ylabel("median distance from the solution (radians)")
ax.set_title("Two solvers of the probability flow")
ax.legend()
plt.show()

# %% [markdown]
# ## What to change first
#
# - **The event.** Stop the *reverse* SDE when it enters a region, and look at the
#   distribution of that time.
# - **The solver.** `rgen.ReverseSDE(100, solver=GeodesicHeun(sphere))` runs the reverse
#   SDE with it.
# - **The steps.** `rgen.ProbabilityFlow(diffrax.Tsit5(), diffrax.PIDController(1e-4,
#   1e-4))` chooses its own, and `rgen.sample_and_cost` counts them.
# - **The manifold.** Only the data, the maps and the event are specific to the sphere.
