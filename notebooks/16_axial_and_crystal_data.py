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
# # Axial and crystal data
#
# The normal of a fault plane has no sign, and a cubic crystal looks the same after each
# of 24 rotations. You will train models that know such a symmetry exactly, beside
# models of the data as they are recorded and of augmented data, and compare their
# likelihoods with a known entropy.
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


BLUE, RED, GREY = "#1f4e79", "#d1342f", "#8a877f"
plt.rcParams["figure.dpi"] = 100
sphere, so3 = rgen.Sphere(2), rgen.SpecialOrthogonal(3)
symmetry = rgen.symmetry

# %% [markdown]
# ## Axes
#
# An axis is a pair of points $\pm x$ of the sphere. The simulated axes have two
# preferred orientations, one close to the horizon: a mixture of wrapped normals,
# averaged over the antipodes. Its density is known.

# %%
antipodes = symmetry.antipodes(sphere)


def direction(azimuth, plunge):
    """The unit vector from degrees east of x and above the horizon."""
    a, p = np.deg2rad([azimuth, plunge])
    return jnp.array([np.cos(p) * np.cos(a), np.cos(p) * np.sin(a), np.sin(p)])


modes = jnp.stack([direction(30, 3), direction(160, 50)])
components = eqx.filter_vmap(partial(rgen.WrappedNormal, sphere))(
    modes, jnp.array([0.25, 0.35])
)
target = rgen.Mixture(components, jnp.log(jnp.array([0.6, 0.4])))
target = symmetry.SymmetrisedDistribution(target, antipodes)

*keys, data_key = jr.split(jr.key(0), 11)
axes, test = jnp.split(rgen.sample(target, data_key, 3_256), [3_000])

# %% [markdown]
# Axes are recorded in one hemisphere, here the upper one. `fold` takes a point to the
# point of its orbit that is nearest to a reference, the pole. The map is Lambert's
# equal-area one, the Schmidt net of geology.

# %%
pole = jnp.array([0.0, 0.0, 1.0])
recorded = jax.vmap(antipodes.fold, (0, None))(axes, pole)
recorded_test = jax.vmap(antipodes.fold, (0, None))(test, pole)


class SchmidtNet(rgen.plot.AbstractSphereProjection):
    """The upper hemisphere, at equal areas, in the unit disc."""

    semi_axes = (1.0, 1.0)

    def forward(self, x):
        return x[:2] / jnp.sqrt(jnp.maximum(1 + x[2], 1e-6)), x[2] >= 0

    def inverse(self, uv):
        uv = uv / jnp.maximum(jnp.linalg.norm(uv), 1.0)
        r_sq = jnp.sum(uv**2)
        return jnp.append(uv * jnp.sqrt(2 - r_sq), 1 - r_sq)


net, pixels = SchmidtNet(), 32

# %% [markdown]
# ## What the noise keeps
#
# Brownian motion commutes with every isometry $g$ of the manifold: noising $g x_0$ is
# noising $x_0$ and applying $g$. So if the data are the same after each $g$ of a group,
# the noised data are so at every time, and their score is equivariant,
#
# $$\nabla \log p_t(g x) = \mathrm d g\, \nabla \log p_t(x).$$
#
# (An Ornstein–Uhlenbeck process keeps rotations about the origin and no translation:
# the isometries that leave its prior alone.) `SymmetrisedField` is the average
# $\bar s(x, t) = \frac{1}{|G|} \sum_g (\mathrm d g)^{-1} s(g x, t)$. Under the noised
# data it is the orthogonal projection of $s$ to the equivariant fields, and the true
# score is one of these. Hence, at every time,
#
# $$\mathbb E\, |\bar s - \nabla \log p_t|^2 \le \mathbb E\, |s - \nabla \log p_t|^2:$$
#
# the average loses nothing. On symmetric data it is worth as much as augmenting the
# data by the whole group, and the model is exactly invariant.
#
# ## Training
#
# The same step trains all models below. With a group it symmetrises the field first.


# %%
def symmetrised(field, group):
    return field if group is None else symmetry.SymmetrisedField(field, group)


def batch_loss(field, group, process, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    weight, score = rgen.losses.variance_weight, symmetrised(field, group)
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    return jnp.mean(jax.vmap(loss)(x0, t, jr.split(noise_key, len(x0))))


steps = 400
schedule = optax.warmup_cosine_decay_schedule(0.0, 5e-3, 50, steps)
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


@eqx.filter_jit
def step(field, state, group, process, x0, key):
    loss, grads = eqx.filter_value_and_grad(batch_loss)(field, group, process, x0, key)
    updates, state = optim.update(grads, state)
    return eqx.apply_updates(field, updates), state, loss


def fit(process, data, key, group, batch, **size):
    init_key, batch_key, key = jr.split(key, 3)
    field = rgen.nn.ScoreField(process, width=64, depth=2, key=init_key, **size)
    state, losses = optim.init(eqx.filter(field, eqx.is_inexact_array)), []
    rows = np.asarray(jr.randint(batch_key, (steps, batch), 0, len(data)))
    for row, step_key in zip(tqdm(rows), jr.split(key, steps), strict=True):
        field, state, loss = step(field, state, group, process, data[row], step_key)
        losses.append(loss)
    return field, losses


def model_of(field, process, group):
    controller = diffrax.PIDController(rtol=1e-3, atol=1e-3)
    flow = rgen.ProbabilityFlow(stepsize_controller=controller)
    score = symmetrised(field, group)
    return rgen.ScoreModel(score, process, rgen.ReverseSDE(60), flow)


# %% [markdown]
# Three models of the axes: of the hemisphere in which they are recorded, of the data
# augmented by the antipodes, and with a symmetrised field, which may see the hemisphere
# alone. Half the batch takes as many network evaluations.

# %%
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(2e-3))
augmented = jax.vmap(antipodes.orbit)(recorded).reshape(-1, 3)
size = dict(frequencies=64, max_frequency=4.0)
curves, models = {}, {}
for name, data, group, batch in [
    ("as recorded", recorded, None, 256),
    ("augmented", augmented, None, 256),
    ("symmetrised", recorded, antipodes, 128),
]:
    field, curves[name] = fit(process, data, keys[0], group, batch, **size)
    models[name] = model_of(field, process, group)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, losses), color in zip(curves.items(), (GREY, RED, BLUE), strict=True):
    rgen.plot.training_curve(ax, losses, color=color, label=name)
ax.set_ylabel("denoising loss")
ax.legend(frameon=False, ncols=3)
plt.show()

# %% [markdown]
# The densities on the upper hemisphere. The mode near the horizon comes out on the
# other side. Where the recording cuts it in two, the density of the records has a
# cliff, and their model blurs it: a part of its mass is below the horizon. The
# symmetrised model does not know where the data were cut.

# %%
grid = rgen.plot.grid(net, pixels)
log_prob = partial(rgen.log_prob, chunk_size=256)
on_grid = {"target": rgen.log_prob(target, grid) + jnp.log(2)}
on_grid["as recorded"] = log_prob(models["as recorded"], grid)
on_grid["symmetrised"] = log_prob(models["symmetrised"], grid) + jnp.log(2)

figure, axs = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
top = max(map(jnp.max, on_grid.values()))
for ax, (name, values) in zip(axs, on_grid.items(), strict=True):
    rgen.plot.frame(ax, net)
    image = rgen.plot.density(ax, net, values, pixels, span=6.0)
    image.set_clim(top - 6, top)
    ax.set_title(name)
rgen.plot.points(axs[0], net, recorded[:300], RED, size=3)
rgen.plot.color_bar(axs[-1], image)
plt.show()

# %% [markdown]
# The NLL of 256 fresh axes, as densities on the whole sphere. That of the target is its
# entropy. The model of the records is averaged after the training,
# $\frac{1}{|G|} \sum_g p(g x)$, which is `SymmetrisedDistribution`; by Jensen's
# inequality this cannot raise its NLL on symmetric data. On this smooth density all
# three models come close to the entropy. The last column is how much the log-density
# differs at $x$ and $-x$, in the mean: zero for the symmetrised model alone.


# %%
def report(group, known, log_probs):
    """Each of `log_probs` has shape (points, images)."""
    print(f"{'':<14}{'NLL':>7}{'excess':>9}{'':<9}{'asymmetry':>10}")
    print(f"{'target':<14}{-jnp.mean(known):7.2f}")
    for name, values in log_probs.items():
        first = values[:, 0]
        if name == "as recorded":
            first = jax.nn.logsumexp(values, axis=1) - jnp.log(group.order)
        gap = known - first
        error = jnp.std(gap) / len(gap) ** 0.5
        differ = jnp.mean(jnp.abs(values - values[:, :1])[:, 1:])
        row = f"{-jnp.mean(first):7.2f}{jnp.mean(gap):9.3f} ± {error:.3f}"
        print(f"{name:<14}{row}{differ:11.3f}")


images = jax.vmap(antipodes.orbit)(recorded_test)
on_images = lambda model: log_prob(model, images.reshape(-1, 3)).reshape(-1, 2)
known = rgen.log_prob(target, test)
report(antipodes, known, {name: on_images(model) for name, model in models.items()})

# %% [markdown]
# ## Crystals
#
# The orientation of a crystal is the rotation $R$ from its axes to those of the
# specimen. A cubic crystal has the symmetry 432, the 24 rotations $Q$ of a cube: $R$
# and $R\,Q$ are one orientation. The simulated texture has two components of rolled
# metals, *cube* (the identity) and *Goss* (turned by 45° about the x axis), as wrapped
# normals of 10° that are averaged over the group.

# %%
cubic = symmetry.right_rotations(symmetry.octahedral())
x_axis = so3.frame(so3.origin, jnp.array([1.0, 0.0, 0.0]))
turn = jax.vmap(lambda degrees: so3.exp(so3.origin, jnp.deg2rad(degrees) * x_axis))
components = eqx.filter_vmap(lambda mean: rgen.WrappedNormal(so3, mean, 0.18))(
    turn(jnp.array([0.0, 45.0]))
)
target = rgen.Mixture(components, jnp.log(jnp.array([0.5, 0.5])))
target = symmetry.SymmetrisedDistribution(target, cubic)
texture, test = jnp.split(rgen.sample(target, keys[1], 5_064), [5_000])

# %% [markdown]
# Software records the equivalent rotation of the smallest angle, which is the one
# nearest to the identity. These fill a fundamental domain. In Rodrigues vectors, axis
# times the tangent of half the angle, it is a cube with its corners cut off. Goss is on
# a face of it: the recording cuts it in two.

# %%
recorded = jax.vmap(cubic.fold, (0, None))(texture, so3.origin)
augmented = jax.vmap(cubic.orbit)(recorded).reshape(-1, 3, 3)
process = rgen.Brownian(so3, rgen.LogUniformSchedule(1e-3))
size = dict(frequencies=192, max_frequency=8.0, parametrisation=rgen.nn.LieAlgebra())
models = {}
for name, data, group, batch in [
    ("as recorded", recorded, None, 512),
    ("augmented", augmented, None, 512),
    ("symmetrised", recorded, cubic, 48),
]:
    field, _ = fit(process, data, keys[2], group, batch, **size)
    models[name] = model_of(field, process, group)

# %% [markdown]
# The density along a turn about the x axis, per orientation. In the domain, between
# -45° and 45°, the model of the records falls off at both ends, where the target has
# the top of a mode. The augmented one has to learn each of 48 modes.

# %%
angles = jnp.linspace(-90, 90, 64)
line = turn(angles)
images = jax.vmap(cubic.orbit, out_axes=1)(test).reshape(-1, 3, 3)
count = {"as recorded": 24, "augmented": 2, "symmetrised": 2}
log_prob = partial(rgen.log_prob, chunk_size=128)
found = {
    name: log_prob(model, jnp.concatenate([line, images[: 64 * count[name]]]))
    for name, model in models.items()
}
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
exact = rgen.log_prob(target, line) + jnp.log(24)
ax.plot(angles, jnp.exp(exact), ":", color="k", label="target")
for (name, values), color in zip(found.items(), (GREY, RED, BLUE), strict=True):
    per_orientation = values[:64] + (0 if name == "as recorded" else jnp.log(24))
    ax.plot(angles, jnp.exp(per_orientation), color=color, label=name)
ax.axvspan(-45, 45, color="#f0eee8", zorder=-1)
ax.set(xlabel="angle about x (degrees)", ylabel="density", ylim=(0, None))
ax.set_xticks(range(-90, 91, 45))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The NLL of 64 fresh orientations, as before. The symmetrised field does better than
# the augmented one, with the same network. The model of the records has the fewest
# modes to learn. As the noise keeps the symmetry, its average over the group is the
# model of the augmented data, so the average repairs the cut; but each density takes 24
# solutions of the flow, and the score remains that of the cut data.

# %%
known = rgen.log_prob(target, test)
report(cubic, known, {name: v[64:].reshape(-1, 64).T for name, v in found.items()})

# %% [markdown]
# ## Pictures in one domain
#
# Above, the pole figure {100}: where the three axes of the crystals point, folded to
# the upper hemisphere. Below, the Rodrigues vectors of the orientations, folded into
# the domain, seen along z.

# %%
samples = rgen.sample(models["symmetrised"], keys[3], 400)
shown = {"data": texture[:400], "symmetrised model": samples}


def rodrigues(x):
    """Axis times the tangent of half the angle, of the folded orientation."""
    x = cubic.fold(x, so3.origin)
    skew = jnp.array([x[2, 1] - x[1, 2], x[0, 2] - x[2, 0], x[1, 0] - x[0, 1]])
    return skew / (1 + jnp.trace(x))


figure, axs = plt.subplots(2, 2, figsize=(7.6, 7.6), layout="constrained")
side = np.sqrt(2) - 1
for (above, below), (name, x) in zip(axs.T, shown.items(), strict=True):
    rgen.plot.frame(above, net)
    axes = jnp.swapaxes(x, 1, 2).reshape(-1, 3)
    folded = jax.vmap(antipodes.fold, (0, None))(axes, pole)
    rgen.plot.points(above, net, folded, BLUE, size=2)
    above.set_title(name)
    vectors = jax.vmap(rodrigues)(x)
    below.scatter(vectors[:, 0], vectors[:, 1], s=2, color=BLUE)
    square = side * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    below.plot(*square.T, color=GREY, linewidth=1)
    below.set(aspect="equal", xlabel="$r_x$", ylabel="$r_y$")
plt.show()

# %% [markdown]
# ## What to change first
#
# - **Your axes**: unit vectors of either sign; `rgen.datasets.to_unit` makes them of
#   degrees.
# - **Another crystal class**: `symmetry.dihedral(6)` is 622 for hexagonal crystals,
#   `symmetry.tetrahedral()` is 23; `rgen.symmetry` lists all eleven.
# - **The price of a large group**: train on augmented data, and wrap the trained field
#   in `SymmetrisedField` for samples and densities alone.
# - **The network**: `width=128` and 2,000 steps lower the excess.
# - **The domain**: fold with another reference than the identity, and the pictures are
#   cut elsewhere. The symmetrised model stays the same.
# - **Angles that repeat after half a turn**: `symmetry.half_turns(torus, 1)`.
