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
# # Densities
#
# The probability flow turns a score into a normalised density. You see how accurate
# that density is, how Hutchinson's estimate of the divergence changes it, how many
# network evaluations it costs, whether it is calibrated, and how to differentiate it.
# The true density is known, so every number has a right answer to compare with.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
import time
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


BLUE, RED, GREEN, GREY = "#1f4e79", "#d1342f", "#2f7f6f", "#8a8a8a"
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
data_key, init_key, train_key, test_key = jr.split(jr.key(0), 4)

# %% [markdown]
# ## Data whose density is known
#
# The data are a mixture of heat kernels of variance 0.02, centred on a spiral. Noise of
# variance $v$ turns a heat kernel of variance $v_0$ into one of variance $v_0 + v$. So
# we know the density $p_t$ of the noised data and its score at every time.

# %%
sphere = rgen.Sphere(2)
kernel = rgen.heat_kernel(sphere)
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(v_min=5e-3))

u = jnp.linspace(-1, 1, 20)
angle, height = 2 * jnp.pi * u, 0.92 * u
radius = jnp.sqrt(1 - height**2)
centres = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle), height], axis=1)
data_variance = 0.02


def noised(t):
    v = data_variance + process.schedule.variance(t)
    return rgen.KernelMixture(kernel, centres, v[None], jnp.zeros(1))


t0 = jnp.array(process.schedule.t0)
truth = noised(t0)  # the distribution that a perfect model has
clean = rgen.KernelMixture(kernel, centres, jnp.array([data_variance]), jnp.zeros(1))
train = rgen.sample(clean, data_key, 20_480, chunk_size=2_048)
test = rgen.sample(truth, test_key, 2_048)
few = test[:512]


class ExactScore(eqx.Module):
    """The score of the noised mixture: the machinery's error without a network's."""

    def __call__(self, x, t):
        v = data_variance + process.schedule.variance(t)
        log_p = jax.vmap(kernel.log_prob, (0, None, None))(centres, x, v)
        scores = jax.vmap(kernel.score, (0, None, None))(centres, x, v)
        return jax.nn.softmax(log_p) @ scores


# %% [markdown]
# ## Training
#
# A small network, the denoising loss, and the same training step as in the other
# notebooks.

# %%
score = rgen.nn.ScoreField(
    process, width=64, depth=2, frequencies=64, max_frequency=6.0, key=init_key
)
steps, batch = 3_000, 256
optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
state = optim.init(eqx.filter(score, eqx.is_inexact_array))


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


@eqx.filter_jit
def step(score, state, key):
    batch_key, loss_key = jr.split(key)
    x0 = rgen.datasets.minibatch(batch_key, train, batch)
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, loss_key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


for key in tqdm(jr.split(train_key, steps), desc="training"):
    score, state, loss = step(score, state, key)

# %% [markdown]
# ## Comparison with the truth
#
# We compare three models: the exact score, the trained score, and the trained score
# times 1.3, an example of an overconfident model. All densities are at the noise level
# of $t_0$, a variance of 0.005. The error of the exact score has three sources: the
# tolerance of the solver, rounding in float32, and the uniform prior, since 0.7 % of
# the slowest mode is left at $t_1$.


# %%
class Scaled(eqx.Module):
    score: rgen.nn.ScoreField
    factor: jax.Array  # an array: one compilation serves all factors

    def __call__(self, x, t):
        return self.factor * self.score(x, t)


controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
flow = rgen.ProbabilityFlow(stepsize_controller=controller)
exact = rgen.ScoreModel(ExactScore(), process, flow=flow)
trained = rgen.ScoreModel(Scaled(score, jnp.array(1.0)), process, flow=flow)
steep = rgen.ScoreModel(Scaled(score, jnp.array(1.3)), process, flow=flow)

# Chunks of one size: each model is compiled once for all that follows.
log_prob = partial(rgen.log_prob, chunk_size=len(few))
log_p = {
    "truth": log_prob(truth, test),
    "exact score": log_prob(exact, test[:64]),
    "trained": log_prob(trained, test),
    "too steep": log_prob(steep, test),
}
print(f"{'held-out points':<16}{'number':>7}{'KL':>9}{'RMS error':>11}   (nats)")
for name, value in log_p.items():
    error = log_p["truth"][: len(value)] - value
    rms = jnp.sqrt(jnp.mean(error**2))
    print(f"{name:<16}{len(value):7d}{jnp.mean(error):9.4f}{rms:11.4f}")
uniform_kl = sphere.log_volume + jnp.mean(log_p["truth"])
print(f"{'uniform':<16}{len(test):7d}{uniform_kl:9.4f}")

# %% [markdown]
# KL is the mean of $\log p_{\text{truth}} - \log p_{\text{model}}$ over held-out
# points: an estimate of the Kullback-Leibler divergence.

# %%
world = rgen.plot.Mollweide()
pixels = 50
points = rgen.plot.grid(world, pixels)
shown = {"truth": truth, "trained": trained, "too steep": steep}
figure, axes = plt.subplots(1, 3, figsize=(12, 3.3), layout="constrained")
images = []
for ax, (name, model) in zip(axes, shown.items(), strict=True):
    rgen.plot.frame(ax, world)
    values = log_prob(model, points)
    images.append(rgen.plot.density(ax, world, values, pixels))
    ax.set_title(name)
bar = rgen.plot.color_bar(list(axes), images)
plt.show()

# %% [markdown]
# ## An integral that is one
#
# A Gauss-Legendre rule in $z$ with equal steps in longitude integrates every polynomial
# of degree below 96 on the sphere exactly. The density of a flow integrates to one for
# every score field, right or wrong. So an integral of one doesn't show that a model is
# good.

# %%
n = 48
z, z_weights = np.polynomial.legendre.leggauss(n)
longitude = np.arange(2 * n) * np.pi / n
z, longitude = (a.ravel() for a in np.meshgrid(z, longitude, indexing="ij"))
r = np.sqrt(1 - z**2)
nodes = np.stack([r * np.cos(longitude), r * np.sin(longitude), z], axis=1)
weights = np.repeat(z_weights, 2 * n) * np.pi / n  # they sum to 4 pi

at_nodes = {
    name: np.asarray(log_prob(model, nodes), float) for name, model in shown.items()
}
print(f"{'':<16}{'integral - 1':>14}")
for name, value in at_nodes.items():
    print(f"{name:<16}{weights @ np.exp(value) - 1:14.1e}")

# %% [markdown]
# ## Exact and Hutchinson divergence
#
# The log-density is an integral of the divergence of the flow along a path.
# Hutchinson's estimate replaces the trace by one random quadratic form. Its random
# signs stay the same along the path, so the solver sees a smooth field. The estimate of
# $\log p$ is unbiased. That of $p$ is not: $\mathbb E\, e^{\log p + \varepsilon} > p$
# by Jensen's inequality, and the estimated densities integrate to more than one on
# average.

# %%
estimate = rgen.ScoreModel(
    trained.score, process, flow=flow, divergence=rgen.HutchinsonDivergence()
)
log_p_few = log_p["trained"][: len(few)]
draws = jnp.stack([log_prob(estimate, few, key) for key in jr.split(jr.key(1), 32)])
spread = jnp.std(draws, axis=0)
bias = jnp.mean(draws - log_p_few)
standard_error = jnp.sqrt(jnp.mean(spread**2) / draws.size)
noisy = np.asarray(log_prob(estimate, nodes, jr.key(2)), float)

print(f"bias of log p            {bias:8.3f} +- {standard_error:.3f} nats")
print(f"spread of one estimate   {jnp.sqrt(jnp.mean(spread**2)):8.3f} nats")
print(f"integral of exp estimate {weights @ np.exp(noisy):8.3f}")

# %% [markdown]
# In two dimensions the exact divergence takes two Jacobian-vector products with the
# network and Hutchinson's takes one, so there is little to gain. The table times both
# on spheres of increasing dimension, with networks of the same size.


# %%
def milliseconds(f, *args, repeats=15):
    jax.block_until_ready(f(*args))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(f(*args))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def divergence_times(dim):
    big = rgen.Brownian(rgen.Sphere(dim))
    make = eqx.filter_jit(partial(rgen.nn.ScoreField, big, width=128, depth=2))
    field = make(key=jr.key(3))
    keys = jr.split(jr.key(4), 128)
    x = jax.vmap(big.manifold.project)(jr.normal(jr.key(5), (128, dim + 1)))

    @eqx.filter_jit
    def evaluate(divergence, field, x, t, keys):
        def one(x, key):
            return divergence(big.manifold, lambda y: field(y, t), x, key)

        return jax.vmap(one)(x, keys)

    both = rgen.ExactDivergence(), rgen.HutchinsonDivergence()
    arguments = field, x, jnp.array(0.3), keys
    return [milliseconds(evaluate, divergence, *arguments) for divergence in both]


dims = [2, 8, 32]
exact_ms, hutchinson_ms = zip(*map(divergence_times, dims), strict=True)
print("one evaluation with its divergence, 128 points, ms")
print(f"{'dimension':>9}{'exact':>9}{'Hutchinson':>12}{'ratio':>8}")
for row in zip(dims, exact_ms, hutchinson_ms, strict=True):
    print(f"{row[0]:9d}{row[1]:9.2f}{row[2]:12.2f}{row[1] / row[2]:8.1f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
axes[0].hist(np.ravel(draws - log_p_few), bins=80, color=BLUE, density=True)
axes[0].axvline(0, color=RED, linewidth=1)
axes[0].set_xlabel("estimate - exact log-density (nats)")
axes[0].set_ylabel("probability density (1/nat)")
axes[0].set_title("One Hutchinson estimate on S²")
axes[1].loglog(dims, exact_ms, "o-", color=BLUE, label="exact")
axes[1].loglog(dims, hutchinson_ms, "o-", color=RED, label="Hutchinson")
axes[1].set_xscale("log", base=2)
axes[1].set_xlabel("dimension of the sphere")
axes[1].set_ylabel("time for 128 points (ms)")
axes[1].set_title("Field with its divergence")
axes[1].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Accuracy and cost
#
# `rgen.log_prob_and_cost` also returns the number of network evaluations (NFE) of each
# density. A smaller tolerance of the step-size controller needs more of them. We pass
# tolerances as arrays, so one compilation serves all values. "Adams" is the default,
# `rgen.AdamsBashforthMoulton`, with one evaluation a step. Errors are differences from
# Dopri8 at tolerance $10^{-6}$, about the best that float32 can do.


# %%
def with_flow(solver, tolerance):
    tolerance = jnp.array(tolerance)
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    flow = rgen.ProbabilityFlow(solver, stepsize_controller=controller)
    return rgen.ScoreModel(score, process, flow=flow)


reference = rgen.log_prob(with_flow(diffrax.Dopri8(), 1e-6), few)
solvers = {
    "Adams": (rgen.AdamsBashforthMoulton(), GREEN),
    "Tsit5": (diffrax.Tsit5(), BLUE),
    "Dopri8": (diffrax.Dopri8(), RED),
}
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
print(f"{'':<8}{'tolerance':>10}{'NFE':>7}{'RMS error (nats)':>18}")
for name, (solver, color) in solvers.items():
    curve = []
    for tolerance in [1e-2, 1e-3, 1e-4, 1e-5]:
        value, cost = rgen.log_prob_and_cost(with_flow(solver, tolerance), few)
        nfe = float(jnp.mean(cost.evaluations))
        error = float(jnp.sqrt(jnp.mean((value - reference) ** 2)))
        curve.append((nfe, error))
        print(f"{name:<8}{tolerance:10.0e}{nfe:7.0f}{error:18.1e}")
    ax.semilogy(*np.array(curve).T, "o-", color=color, label=name)
ax.set_xlabel("network evaluations with divergence, for each density")
ax.set_ylabel("RMS error of log p (nats)")
ax.set_title("Tolerances from 1e-2 to 1e-5")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Calibration
#
# The highest-density region of level $\alpha$ is the smallest set of probability
# $\alpha$. If points follow the density, a share $\alpha$ of them falls in it, for
# every $\alpha$. For each point, the quadrature gives the mass of the region where the
# density is higher. If points follow the density, these masses are uniform on $[0, 1]$.
# Their Kolmogorov-Smirnov distance from uniform is then below the printed bound in 95 %
# of cases.


# %%
def region_levels(log_density, log_p):
    """For each point, the mass of the region where the density is higher."""
    order = np.argsort(-log_density)
    mass = np.cumsum(weights[order] * np.exp(log_density[order]))
    return np.interp(-np.asarray(log_p, float), -log_density[order], mass)


def ks_distance(levels):
    levels, n = np.sort(levels), len(levels)
    return max(
        np.max(np.arange(1, n + 1) / n - levels), np.max(levels - np.arange(n) / n)
    )


m = len(test)
backwards = rgen.ScoreModel(trained.score, process, sampler=flow)
samples = {
    "reverse SDE": rgen.sample(trained, jr.key(6), m),
    "probability flow": rgen.sample(backwards, jr.key(7), m),
}
cases = {
    ("trained", "held-out data"): log_p["trained"],
    ("truth", "held-out data"): log_p["truth"],
    ("too steep", "held-out data"): log_p["too steep"],
    **{("trained", name): log_prob(trained, x) for name, x in samples.items()},
}
levels = {case: region_levels(at_nodes[case[0]], v) for case, v in cases.items()}
print(f"{'density':<13}{'points':<18}{'KS distance':>12}{'within 90 % region':>20}")
for (density, points), level in levels.items():
    inside = np.mean(level < 0.9)
    print(f"{density:<13}{points:<18}{ks_distance(level):12.3f}{inside:20.1%}")
print(f"{'bound at 95 %':<31}{1.36 / np.sqrt(m):12.3f}")

# %% [markdown]
# Samples of the probability flow follow its density by construction, so that row checks
# the solvers. Samples of the reverse SDE follow it only if the field is the score of a
# diffusion, and held-out data only if the model is right.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
alpha = np.linspace(0, 1, 200)
styles = {"trained": BLUE, "truth": GREY, "too steep": RED}
for (density, points), level in levels.items():
    coverage = np.searchsorted(np.sort(level), alpha) / m
    if points == "held-out data":
        axes[0].plot(alpha, coverage, color=styles[density], label=density)
    if density == "trained":
        color = {"held-out data": BLUE, "reverse SDE": RED}.get(points, GREY)
        axes[1].plot(alpha, coverage - alpha, color=color, label=points)
axes[0].plot(alpha, alpha, ":", color="black", linewidth=1)
axes[0].set_ylabel("share of points in it")
axes[0].set_title("Held-out data, three densities")
axes[1].axhspan(-1.36 / np.sqrt(m), 1.36 / np.sqrt(m), color="#e5e5e5")
axes[1].set_ylabel("share of points - probability")
axes[1].set_title("The trained density; grey: 95 % of right models")
for ax in axes:
    ax.set_xlabel("probability of the highest-density region")
    ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Gradients of a density
#
# `sphere.gradient(model.log_prob, x)` differentiates through the solver. For the exact
# score, the result is the score at $t_0$ again. A trained field need not be a gradient,
# nor the score of its own flow, so the two differ.


# %%
@eqx.filter_jit
def gradients(model, x):
    return jax.vmap(partial(sphere.gradient, model.log_prob))(x)


x = test[:32]
gradient = gradients(trained, x)
field = jax.vmap(lambda x: score(x, t0))(x)
true_score = jax.vmap(lambda x: ExactScore()(x, t0))(x)
scale = jnp.sqrt(jnp.mean(true_score**2))
relative = lambda a, b: jnp.sqrt(jnp.mean((a - b) ** 2)) / scale
print("RMS difference over the RMS of the true score")
print(f"gradient of log p, score at t0 {relative(gradient, field):8.3f}")
print(f"gradient of log p, true score  {relative(gradient, true_score):8.3f}")
print(f"score at t0, true score        {relative(field, true_score):8.3f}")

# %% [markdown]
# The default adjoint works in reverse mode. Forward mode, once or twice, needs
# `diffrax.ForwardMode()`. Forward over reverse mode, as in `jax.hessian`, needs
# `diffrax.DirectAdjoint()`, which takes longer to compile. The Laplacian $\Delta \log
# p$ is the divergence of the gradient; its true value is the divergence of the exact
# score.

# %%
forward = rgen.ProbabilityFlow(
    stepsize_controller=controller, adjoint=diffrax.ForwardMode()
)
model = rgen.ScoreModel(trained.score, process, flow=forward)


@eqx.filter_jit
def gradient_and_laplacian(model, x):
    gradient = lambda y: sphere.to_tangent(y, jax.jacfwd(model.log_prob)(y))
    return gradient(x), sphere.divergence(gradient, x)


slope, laplacian = eqx.filter_vmap(gradient_and_laplacian, in_axes=(None, 0))(
    model, x[:8]
)
true_laplacian = jax.vmap(partial(sphere.divergence, lambda y: ExactScore()(y, t0)))
difference = relative(slope, gradient[:8])
print(f"forward and reverse mode, relative difference: {difference:.1e}")
print("Laplacian of log p at eight points (nats a square radian)")
print("truth  ", *(f"{a:8.1f}" for a in true_laplacian(x[:8])))
print("trained", *(f"{a:8.1f}" for a in laplacian))

# %% [markdown]
# Each derivative amplifies the network's errors at fine scales. A density that is good
# in nats may have a fair gradient and a poor Laplacian.

# %% [markdown]
# ## What to change first
#
# - `v_min` of the schedule: the noise level of the density. At $10^{-4}$ the same data
#   need more frequencies and training steps, and each density more network evaluations.
# - `steps` and `width`: does a smaller error of the density improve calibration?
# - The factor 1.3 of `Scaled`: below 1 the model is underconfident, and its coverage
#   lies above the diagonal.
# - `solver` and tolerance of `rgen.ProbabilityFlow`: for a held-out likelihood, an
#   error of 0.001 nats is usually enough.
# - `rgen.CoarseSchedule`: the density of the same score at a higher noise level.
