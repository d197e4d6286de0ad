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
# # Noise
#
# A diffusion model destroys data with noise and learns to reverse this process. First
# you see the noise on four manifolds: random walks, checked against exact heat kernels.
# Then you train a small model whose reverse process turns uniform points into
# continents, and compare it with the forward process at the same noise levels.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
from functools import partial
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import optax
from IPython.display import Image
from tqdm.auto import tqdm

import rgen


BLUE, RED = "#1f4e79", "#d1342f"
plot = rgen.plot
manifolds = {
    "sphere": rgen.Sphere(2),
    "torus": rgen.Torus(2),
    "rotations": rgen.SpecialOrthogonal(3),
    "hyperbolic plane": rgen.Hyperbolic(2),
}

# %% [markdown]
# ## Random walks
#
# Algorithm 1 of De Bortoli et al. (2022): sample a normal vector in the tangent space,
# follow its geodesic, repeat. In Diffrax this is an SDE, here `rgen.NoiseTerm`, with
# the solver `rgen.GeodesicRandomWalk`. `SaveAt` keeps the points on the way. The figure
# shows eight walks of 400 steps from one point, up to variance 1.

# %%
times = jnp.linspace(0, 1, 401)


@eqx.filter_jit
def walks(manifold, x0, keys):
    """The points of random walks that start from `x0`."""

    def walk(key):
        path = rgen.BrownianGrid(manifold.noise_shape, times, key)
        noise = rgen.NoiseTerm(manifold, jnp.ones_like, path)
        solution = diffrax.diffeqsolve(
            noise,
            rgen.GeodesicRandomWalk(manifold),
            times[0],
            times[-1],
            None,
            x0,
            stepsize_controller=diffrax.StepTo(times),
            saveat=diffrax.SaveAt(ts=times),
            adjoint=diffrax.ForwardMode(),
        )
        return solution.ys

    return jax.vmap(walk)(keys)


projections = {
    "sphere": plot.Orthographic(longitude=0, latitude=0),
    "torus": plot.AnglePlane(),
    "rotations": plot.Orthographic(longitude=0, latitude=0),
    "hyperbolic plane": plot.PoincareDisc(),
}
starts = {name: manifold.origin for name, manifold in manifolds.items()}
starts["sphere"] = jnp.array([1.0, 0.0, 0.0])  # in the middle of the globe

figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
for ax, (name, projection) in zip(axes, projections.items(), strict=True):
    paths = walks(manifolds[name], starts[name], jr.split(jr.key(1), 8))
    # Of a rotation we see where it takes the first axis.
    seen = paths[..., 0] if name == "rotations" else paths
    plot.frame(ax, projection)
    plot.trajectories(ax, projection, seen, color=BLUE, width=0.6)
    plot.points(ax, projection, seen[:, -1], color=RED, size=14, alpha=1)
    ax.set_title(name)
plt.show()

# %% [markdown]
# ## The walk against the heat kernel
#
# Eigenfunctions of the Laplacian, $\Delta f = -\lambda f$, have known expectations.
# Brownian motion with accumulated variance $v$ has $\mathbb E f(X_v) = e^{-\lambda v /
# 2} f(x_0)$.
#
# | manifold | $f$ | $\lambda$ |
# |---|---|---|
# | sphere | $\langle x_0, x\rangle$ | 2 |
# | torus | $\cos\theta_1$ | 1 |
# | rotations | $\tfrac13 \mathrm{tr}\, x$ | 2 |
# | hyperbolic plane | $\cosh d(x_0, x)$, which grows | -2 |
#
# The next table compares this exact value with means over samples: of the heat kernel,
# and of walks of 1, 4 and 16 steps. Its last column is two standard errors of these
# means.

# %%
n, v = 50_000, jnp.array(0.5)
functions = {
    "sphere": (2, lambda x: x @ starts["sphere"]),
    "torus": (1, lambda x: jnp.cos(x[0])),
    "rotations": (2, lambda x: jnp.trace(x) / 3),
    "hyperbolic plane": (-2, lambda x: jnp.cosh(jnp.linalg.norm(x))),
}


@eqx.filter_jit
def noised(kernel, x0, v, key, n):
    return jax.vmap(lambda key: kernel.sample(x0, v, key))(jr.split(key, n))


walked = {}
names = ["exact", "kernel", "1 step", "4 steps", "16 steps"]
print(f"{'':<18}" + "".join(f"{name:>10}" for name in names) + f"{'± 2 se':>10}")
for name, (eigenvalue, f) in functions.items():
    manifold = manifolds[name]
    kernels = [rgen.heat_kernel(manifold)]
    kernels += [rgen.RandomWalkKernel(manifold, steps=k) for k in (1, 4, 16)]
    values = [jnp.exp(-eigenvalue * v / 2)]
    for kernel in kernels:
        x = noised(kernel, starts[name], v, jr.key(2), n)
        values.append(jnp.mean(jax.vmap(f)(x)))
    walked[name] = x
    error = 2 * jnp.std(jax.vmap(f)(x)) / jnp.sqrt(n)
    print(f"{name:<18}" + "".join(f"{y:>10.4f}" for y in [*values, error]))

# %% [markdown]
# On the flat torus every step is exact. Elsewhere the error of a walk of $K$ steps
# falls as $1/K$: it has weak order 1. Where the heat kernel is known, rgen samples it
# directly, and training needs no walk.
#
# We also compare whole distributions. The histograms show how far the walks of 16 steps
# end from their start, the curves the density of this distance under the heat kernel.
# At the distance $r$ in the direction $e$ it is $r^{d-1}\, |\det \mathrm d \exp_{x_0}(r
# e)|\, p_v$, integrated over the directions.


# %%
@eqx.filter_jit
def radial_density(manifold, x0, r, key):
    """The density of the distance, with the mean over 16 directions."""
    kernel = rgen.heat_kernel(manifold)
    d = manifold.dim
    area = {2: 2 * jnp.pi, 3: 4 * jnp.pi}[d]

    def along(key):
        e = manifold.tangent_noise(x0, key)
        e = e / manifold.norm(x0, e)

        def at(r):
            log_p = kernel.log_prob(x0, manifold.exp(x0, r * e), v)
            log_volume = manifold.log_det_exp(x0, r * e) + (d - 1) * jnp.log(r)
            return jnp.exp(log_p + log_volume)

        return jax.vmap(at)(r)

    return area * jnp.mean(jax.vmap(along)(jr.split(key, 16)), axis=0)


r = jnp.linspace(0.02, 3.1, 100)
figure, axes = plt.subplots(1, 4, figsize=(12, 2.7), layout="constrained")
for ax, (name, x) in zip(axes, walked.items(), strict=True):
    manifold, x0 = manifolds[name], starts[name]
    distance = jax.vmap(manifold.dist, (None, 0))(x0, x)
    ax.hist(distance, bins=60, density=True, color=BLUE, alpha=0.3, label="walk")
    density = radial_density(manifold, x0, r, jr.key(0))
    ax.plot(r, density, color=RED, label="heat kernel")
    ax.set(title=name, xlabel="distance from the start", yticks=[], xlim=(0, 3.2))
axes[0].set_ylabel("density")
axes[0].legend()
plt.show()

# %% [markdown]
# ## A small model
#
# The data are the populated places of the Earth. Brownian motion noises them, from the
# variance $10^{-3}$ (a standard deviation of 200 km) to the uniform distribution. The
# network learns the score by denoising. Its target, the score of the heat kernel, is
# exact.

# %%
data = rgen.datasets.populated_places()
sphere = manifolds["sphere"]
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(1e-3))
init_key, train_key, prior_key, path_key, noise_key = jr.split(jr.key(0), 5)
score = rgen.nn.ScoreField(
    process, key=init_key, width=128, depth=3, frequencies=192, max_frequency=30.0
)
steps, batch = 1500, 512


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


rate = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 100, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
state = optim.init(eqx.filter(score, eqx.is_inexact_array))


@eqx.filter_jit
def step(score, state, data, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, data, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


for key in tqdm(jr.split(train_key, steps), desc="training"):
    score, state, loss = step(score, state, data, key)

# %% [markdown]
# ## The reverse process
#
# Theorem 3.1 of the paper: with the score $s = \nabla \log p_t$ and time running down,
# the process $\mathrm dX = -\beta\, s\, \mathrm dt + \sqrt\beta\, \mathrm dB^{\mathcal
# M}$ has the distribution of the noised data at every time $t$. `rgen.reverse_sde`
# gives this process as Diffrax terms. `SaveAt` keeps 25 points of each path of 192
# steps.

# %%
n = 1000
grid = process.time_grid(192)
saved = grid[::8]


@eqx.filter_jit
def reverse_paths(score, key):
    def solve(x, key):
        path = rgen.BrownianGrid(sphere.noise_shape, grid, key)
        solution = diffrax.diffeqsolve(
            rgen.reverse_sde(process, score, path),
            rgen.GeodesicRandomWalk(sphere),
            grid[0],
            grid[-1],
            None,
            x,
            stepsize_controller=diffrax.StepTo(grid),
            saveat=diffrax.SaveAt(ts=saved),
            adjoint=diffrax.ForwardMode(),
        )
        return solution.ys

    prior_key, path_key = jr.split(key)
    x = jax.vmap(process.prior.sample)(jr.split(prior_key, n))
    return jax.vmap(solve)(x, jr.split(path_key, n))


paths = reverse_paths(score, path_key)


# %% [markdown]
# The top row shows data noised to five levels. The bottom row shows the reverse process
# at the same levels, to be read from right to left. By the theorem, both plots of a
# column have the same distribution.


# %%
@jax.jit
def noised_data(key, t):
    rows_key, noise_key = jr.split(key)
    x0 = rgen.datasets.minibatch(rows_key, data, n)
    return jax.vmap(process.sample, (0, None, 0))(x0, t, jr.split(noise_key, n))


chosen = [24, 20, 16, 10, 0]
radius = jnp.sqrt(jax.vmap(process.schedule.variance)(saved))
forward = {k: noised_data(jr.fold_in(noise_key, k), saved[k]) for k in chosen}

world = plot.Mollweide()
figure, axes = plt.subplots(2, 5, figsize=(13, 3.2), layout="constrained")
for column, k in zip(axes.T, chosen, strict=True):
    for ax, x, color in zip(
        column, (forward[k], paths[:, k]), (BLUE, RED), strict=True
    ):
        plot.frame(ax, world)
        plot.coastlines(ax, world)
        plot.points(ax, world, x, color=color, size=2)
    column[0].set_title(f"noise of {radius[k]:.2f} rad", fontsize="medium")
axes[0, 0].text(-3, 0, "forward", rotation=90, va="center")
axes[1, 0].text(-3, 0, "reverse", rotation=90, va="center")
plt.show()

# %% [markdown]
# The squared maximum mean discrepancy (MMD²) is a distance between two samples. Its
# kernel here is a heat kernel of standard deviation 0.1 rad, and its unit the inverse
# area. Its expectation is zero for equal distributions. The second column compares two
# samples of the noised data, and so shows the sampling error. The last column compares
# with the data: it falls as the points become continents.


# %%
def mmd(x, y):
    return rgen.metrics.squared_mmd(sphere, x[:500], y[:500], v=0.01)


held = rgen.datasets.minibatch(noise_key, data, n)
fresh = {k: noised_data(jr.fold_in(noise_key, 100 + k), saved[k]) for k in chosen}
print(f"{'noise':>10}{'reverse, forward':>18}{'two forward':>13}{'reverse, data':>15}")
for k in reversed(chosen):
    values = (
        mmd(paths[:, k], forward[k]),
        mmd(fresh[k], forward[k]),
        mmd(paths[:, k], held),
    )
    print(
        f"{radius[k]:>6.3f} rad{values[0]:>18.4f}{values[1]:>13.4f}{values[2]:>15.4f}"
    )

# %% [markdown]
# The reverse process as an animation: one frame per saved step, with the last one held.

# %%
figure, ax = plt.subplots(figsize=(5.2, 2.7), layout="constrained")
plot.frame(ax, world)
plot.coastlines(ax, world)
film = paths[:450]
film = jnp.concatenate([film, jnp.repeat(film[:, -1:], 8, axis=1)], axis=1)
animation = plot.animate(ax, world, film, size=3)
folder = Path("outputs")
folder.mkdir(exist_ok=True)
animation.save(folder / "noise.gif", writer="pillow", fps=8, dpi=75)
plt.close(figure)
Image(filename=folder / "noise.gif")

# %% [markdown]
# ## What to change first
#
# - `rgen.LogUniformSchedule(1e-3)`: a smaller variance gives sharper coasts. Raise
#   `max_frequency` to about its inverse square root, and train for longer.
# - The number of `steps` in `process.time_grid`: with 24 the coasts are less sharp.
# - `saved`: keep only the end, `SaveAt(t1=True)`, as `rgen.sample` does.
# - `data`: `rgen.datasets.earthquake()` or `volcano()`, downloaded at first use.
# - Replace the reverse SDE and its solver by `rgen.probability_flow` and
#   `diffrax.Heun()`: the paths become deterministic. With the exact score the
#   distribution at each time stays the same.
