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
# # Manifolds
#
# On a curved space points don't add. Three maps take the place of $+$ and $-$: the
# exponential $\exp_x(v)$, the logarithm $\log_x(y)$ and parallel transport. You see
# each of them on four manifolds, checked against a known answer. Then you measure what
# goes wrong, by latitude, when points of the globe are noised as if longitude and
# latitude were flat coordinates.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt

import rgen


BLUE, RED = "#1f4e79", "#d1342f"
plot = rgen.plot

sphere, torus = rgen.Sphere(2), rgen.Torus(2)
hyperbolic, rotations = rgen.Hyperbolic(2), rgen.SpecialOrthogonal(3)

# %% [markdown]
# ## The exponential: from a velocity to a point
#
# $\exp_x(v)$ is where the geodesic that leaves $x$ with the velocity $v$ is at time 1.
# Methods of a manifold take one point, so a batch is a `jax.vmap`. Here the
# velocities are those of one circle in the tangent space, scaled: each line is a
# geodesic, and each ring has the points at one distance. The table checks the outer
# ring: its points are at the distance that we asked for.

# %%
angles = jnp.linspace(0, 2 * jnp.pi, 97)
lengths = jnp.linspace(0, 2.0, 41)
circle = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


@eqx.filter_jit
def fan(manifold, x):
    """Points at each of `lengths` along 97 directions at `x`."""
    directions = circle @ manifold.basis(x)
    point = lambda v, length: manifold.exp(x, length * v)
    return jax.vmap(jax.vmap(point, (None, 0)), (0, None))(directions, lengths)


# %%
paris = rgen.datasets.to_unit(2.35, 48.85)
scenes = {
    "sphere": (plot.Orthographic(longitude=20, latitude=35), sphere, paris),
    "torus": (plot.AnglePlane(), torus, jnp.array([1.5, -0.8])),
    "hyperbolic plane": (plot.PoincareDisc(), hyperbolic, jnp.array([0.5, 0.4])),
}

figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
print(f"{'manifold':<18}{'distance asked':>15}{'distance found':>15}")
for ax, (name, (projection, manifold, x)) in zip(axes, scenes.items(), strict=True):
    geodesics = fan(manifold, x)
    plot.frame(ax, projection)
    plot.trajectories(ax, projection, geodesics[::4], color=BLUE)
    plot.trajectories(ax, projection, geodesics[:, 10::10].swapaxes(0, 1), color=RED)
    plot.points(ax, projection, x[None], color="black", size=25, alpha=1)
    ax.set_title(f"{name}, rings at 0.5, 1, 1.5, 2", fontsize="medium")
    found = jax.vmap(manifold.dist, (None, 0))(x, geodesics[:, -1])
    print(f"{name:<18}{lengths[-1]:>15.4f}{jnp.mean(found):>15.4f}")
plot.coastlines(axes[0], scenes["sphere"][0])

# %% [markdown]
# ## The logarithm: from a point to a velocity
#
# $\log_x(y)$ is the shortest $v$ with $\exp_x(v) = y$. Its length is the distance,
# and $s \mapsto \exp_x(s \log_x(y))$ is the shortest way. The straight line in
# longitude and latitude is another way, and a longer one. The last column is how far
# $\exp_x(\log_x(y))$ ends from $y$: a rounding error in float32.

# %%
cities = {
    "Paris": (2.35, 48.85),
    "Tokyo": (139.69, 35.69),
    "San Francisco": (-122.42, 37.77),
    "Reykjavik": (-21.94, 64.15),
    "Anchorage": (-149.90, 61.22),
    "Auckland": (174.76, -36.85),
    "Honolulu": (-157.86, 21.31),
}
pairs = [
    ("Paris", "Tokyo"),
    ("San Francisco", "Tokyo"),
    ("Reykjavik", "Anchorage"),
    ("Auckland", "Honolulu"),
]
KILOMETRES = 6371.0
share = jnp.linspace(0, 1, 181)


@eqx.filter_jit
def geodesic(manifold, x, y):
    v = manifold.log(x, y)
    return jax.vmap(lambda s: manifold.exp(x, s * v))(share)


def straight(start, end):
    """The way with constant slopes of longitude and latitude, as a flat map has it."""
    degrees = start + share[:, None] * (end - start)
    return rgen.datasets.to_unit(degrees[:, 0], degrees[:, 1])


def length(path):
    return jnp.sum(jax.vmap(sphere.dist)(path[:-1], path[1:]))


world = plot.Mollweide()
figure, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
plot.frame(ax, world)
plot.coastlines(ax, world)
print(f"{'':<28}{'geodesic':>10}{'straight in degrees':>21}{'round trip':>13}")
for start, end in pairs:
    degrees = jnp.array([cities[start], cities[end]])
    x, y = rgen.datasets.to_unit(degrees[:, 0], degrees[:, 1])
    short, flat = geodesic(sphere, x, y), straight(*degrees)
    plot.trajectories(ax, world, short[None], BLUE, "geodesic", width=1.6)
    plot.trajectories(ax, world, flat[None], RED, "straight in degrees", width=1.6)
    distance, error = sphere.dist(x, y), sphere.dist(short[-1], y)
    print(
        f"{start + ' to ' + end:<28}{KILOMETRES * distance:>7.0f} km"
        f"{KILOMETRES * length(flat):>18.0f} km{1e3 * KILOMETRES * error:>11.1f} m"
    )
plot.legend(ax)
ax.set_title("The shortest way, and the straight line in longitude and latitude")

# %% [markdown]
# On the rotations the logarithm is an axis and an angle, and the shortest way turns
# about that axis at a constant speed. `rgen.plot.triads` draws a rotation as its three
# columns, red, green and blue. A distance is the angle of a rotation, printed above
# each: it is never more than 180°.

# %%
first, last = (rotations.uniform(key) for key in jr.split(jr.key(3)))
turning = geodesic(rotations, first, last)[::30]

figure, axes = plt.subplots(
    1, 7, figsize=(11, 2), subplot_kw=dict(projection="3d"), layout="constrained"
)
for ax, rotation in zip(axes, turning, strict=True):
    plot.triads(ax, rotation[None])
    ax.set(xlim=(-0.7, 0.7), ylim=(-0.7, 0.7), zlim=(-0.7, 0.7))
    ax.set_axis_off()
    turned = jnp.rad2deg(rotations.dist(first, rotation))
    ax.set_title(f"{turned:.0f}°")

# %% [markdown]
# ## Transport: the same vector at another point
#
# Tangent vectors at different points can't be compared until one is transported to the
# other. Parallel transport keeps lengths and angles, but it depends on the way: round a
# triangle a vector comes back turned. By the theorem of Gauss and Bonnet the turn is
# the sum of the triangle's angles minus $\pi$, which is the curvature times the area:
# positive on the sphere, zero on the flat torus, negative on the hyperbolic plane. The
# red arrow is the vector that came back.

# %%
triangles = {
    "sphere": rgen.datasets.to_unit([-20.0, 70.0, 25.0], [-5.0, -5.0, 80.0]),
    "torus": jnp.array([[-1.4, -1.3], [1.5, -1.0], [0.0, 1.5]]),
    "hyperbolic plane": jnp.array([[-1.6, -1.1], [1.7, -0.9], [0.1, 1.8]]),
}


def angle(manifold, x, u, v):
    """The angle from `u` to `v`, counterclockwise in the basis at `x`."""
    basis = manifold.basis(x)
    a, b = (jnp.stack([manifold.inner(x, e, w) for e in basis]) for w in (u, v))
    return jnp.arctan2(a[0] * b[1] - a[1] * b[0], a @ b)


@eqx.filter_jit
def around(manifold, corners):
    """Points around a triangle, a vector transported to each of them, by which angle
    it is turned when it is back, and the sum of the triangle's angles minus pi."""

    def side(v, ends):
        x, y, z = ends
        to_next, to_last = manifold.log(x, y), manifold.log(x, z)
        points = jax.vmap(lambda s: manifold.exp(x, s * to_next))(share[::15])
        vectors = jax.vmap(manifold.transport, (None, 0, None))(x, points, v)
        return vectors[-1], (points, vectors, angle(manifold, x, to_next, to_last))

    start = 0.35 * manifold.log(corners[0], corners[1])
    ends = corners, jnp.roll(corners, -1, axis=0), jnp.roll(corners, -2, axis=0)
    back, (points, vectors, angles) = jax.lax.scan(side, start, ends)
    paths = [x.reshape(-1, *manifold.point_shape) for x in (points, vectors)]
    turned = angle(manifold, corners[0], start, back)
    return *paths, turned, jnp.sum(jnp.abs(angles)) - jnp.pi


# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
print(f"{'manifold':<18}{'turn':>10}{'angles - 180°':>16}")
for ax, (name, corners) in zip(axes, triangles.items(), strict=True):
    projection, manifold, _ = scenes[name]
    x, vectors, turned, excess = around(manifold, corners)
    plot.frame(ax, projection)
    plot.trajectories(ax, projection, x[None], color=BLUE, width=1.5)
    plot.arrows(ax, projection, x[:-1], vectors[:-1], color=BLUE)
    plot.arrows(ax, projection, x[-1:], vectors[-1:], color=RED)
    ax.set_title(f"{name}: turned by {jnp.rad2deg(turned):z.0f}°")
    print(f"{name:<18}{jnp.rad2deg(turned):>z9.2f}°{jnp.rad2deg(excess):>z15.2f}°")

# %% [markdown]
# ## Longitude and latitude are not flat
#
# A tempting shortcut noises longitude $\lambda$ and latitude $\varphi$ as two
# independent numbers. We compute the density of that noise exactly. With $v$ the
# accumulated variance, longitude follows the heat kernel of a circle, and latitude that
# of an interval, reflected at the poles. Per area on the sphere, the density is their
# product divided by $\cos\varphi$. The right answer is the heat kernel of $S^2$, which
# rgen has in closed form.

# %%
exact = rgen.heat_kernel(sphere)
circle_kernel = rgen.TorusHeatKernel(rgen.Torus(1))
variance = jnp.array(0.01)


def flat_log_prob(x0, x, v):
    """The log-density, per area, of noise that is normal in longitude and latitude."""

    def kernel(start, end):
        return circle_kernel.log_prob(start[None], end[None], v)

    λ0, φ0 = map(jnp.deg2rad, rgen.datasets.to_degrees(x0))
    λ, φ = map(jnp.deg2rad, rgen.datasets.to_degrees(x))
    reflected = jnp.logaddexp(kernel(φ0, φ), kernel(jnp.pi - φ0, φ))
    return kernel(λ0, λ) + reflected - jnp.log(jnp.cos(φ))


@jax.jit
def both(x0, x):
    """The exact and the flat log-density at each of the points `x`."""
    at = lambda log_prob: jax.vmap(lambda y: log_prob(x0, y, variance))(x)
    return at(exact.log_prob), at(flat_log_prob)


# %% [markdown]
# Noise of a standard deviation of 0.1 radians, 640 km in each direction, from three
# latitudes. On the equator the two agree. Further north the flat noise is squeezed from
# east to west, and next to the pole it is a wedge: it does not know that all longitudes
# meet there.

# %%
latitudes = [0.0, 60.0, 85.0]
figure, axes = plt.subplots(2, 3, figsize=(9, 7), layout="constrained")
images = []
for column, latitude in zip(axes.T, latitudes, strict=True):
    x0 = rgen.datasets.to_unit(0.0, latitude)
    globe = plot.Orthographic(longitude=0.0, latitude=latitude)
    x = plot.grid(globe)
    for ax, name, values in zip(column, ["exact", "flat"], both(x0, x), strict=True):
        plot.frame(ax, globe)
        images.append(plot.density(ax, globe, values))
        plot.coastlines(ax, globe)
        ax.set_title(f"{name}, from {latitude:.0f}° N")
plot.color_bar(list(axes.flat), images)

# %% [markdown]
# Two numbers say by how much. The total variation is the share of the probability that
# is in the wrong place, from 0 to 1. The Kullback-Leibler divergence of the flat
# density from the exact one is what it loses in log-likelihood, in nats per point. Both
# are sums over a grid of 0.5 by 1 degrees, which also gives the standard deviation to
# the east, that of the component of $\log_{x_0}(x)$ along the parallel. The first two
# columns are a check: each density has the mass 1.

# %%
cells_λ, cells_φ = jnp.arange(-179.5, 180), jnp.arange(-89.75, 90, 0.5)
mesh = jnp.stack(jnp.meshgrid(cells_λ, cells_φ), axis=-1).reshape(-1, 2)
cells = rgen.datasets.to_unit(mesh[:, 0], mesh[:, 1])
area = jnp.deg2rad(1.0) * jnp.deg2rad(0.5) * jnp.cos(jnp.deg2rad(mesh[:, 1]))


@jax.jit
def compare(latitude, cells, area):
    x0 = rgen.datasets.to_unit(0.0, latitude)
    log_p, log_q = both(x0, cells)
    p, q = area * jnp.exp(log_p), area * jnp.exp(log_q)
    east = jax.vmap(lambda x: sphere.log(x0, x)[1])(cells)
    deviations = [jnp.sqrt(jnp.sum(w * east**2)) for w in (p, q)]
    distance = jnp.sum(jnp.abs(p - q)) / 2
    divergence = jnp.sum(p * (log_p - log_q))
    return jnp.sum(p), jnp.sum(q), *deviations, distance, divergence


print(f"{'latitude':>8}{'mass':>14}{'std to the east':>20}{'total':>12}{'KL':>10}")
print(f"{'':>8}{'exact':>8}{'flat':>6}{'exact':>12}{'flat':>8}{'variation':>12}")
for latitude in [0.0, 30.0, 45.0, 60.0, 75.0, 85.0, 89.0]:
    p, q, right, wrong, distance, divergence = compare(latitude, cells, area)
    print(
        f"{latitude:>7.0f}°{p:>8.3f}{q:>6.2f}{KILOMETRES * right:>9.0f} km"
        f"{KILOMETRES * wrong:>5.0f} km{distance:>10.3f}{divergence:>10.2f}"
    )

# %% [markdown]
# ## Where flat noise ends
#
# A sampler starts from what the noise converges to. On the sphere that is the uniform
# distribution, $\mathrm dA = \cos\varphi\, \mathrm d\lambda\, \mathrm d\varphi$. Flat
# noise ends uniform in longitude and latitude. To scale the steps in longitude by
# $1/\cos\varphi$ does not mend it: Brownian motion in these coordinates also has the
# drift $-\tfrac12 \tan\varphi\, \mathrm dt$ in latitude, and without it the latitude
# still ends uniform. The table has the share of points beyond a latitude, on both caps.

# %%
uniform = rgen.sample(rgen.Uniform(sphere), jr.key(0), 100_000)
_, latitude = rgen.datasets.to_degrees(uniform)
print(f"{'beyond':>8}{'1 - sin φ':>12}{'rgen.sample':>13}{'flat, 1 - φ/90°':>18}")
for bound in [30.0, 60.0, 75.0, 85.0]:
    right, wrong = 1 - jnp.sin(jnp.deg2rad(bound)), 1 - bound / 90
    found = jnp.mean(jnp.abs(latitude) > bound)
    print(f"{bound:>7.0f}°{right:>12.2%}{found:>13.2%}{wrong:>18.2%}")

# %% [markdown]
# ## What it costs on data
#
# A distance on the sphere does not know where the pole is; a distance in longitude and
# latitude does. So we fit mixtures of kernels on populated places twice: on the Earth
# as it is, and turned, so that Delhi is the pole. One mixture has von Mises-Fisher
# kernels on the sphere, the other normal kernels in longitude and latitude, and the
# weights of their bandwidths are fitted to the same validation points. The flat
# log-density becomes one per area by $-\log\cos\varphi$.

# %%
data = rgen.datasets.populated_places()
train, validation, test = rgen.datasets.random_split(jr.key(1), data)
train, validation, test = train[:2000], validation[:400], test[:1000]
min_variance = 1e-4


def coordinates(x):
    return jnp.deg2rad(jnp.stack(rgen.datasets.to_degrees(x), axis=1))


def spherical_nll(train, validation, test):
    kernel = rgen.VonMisesFisherKernel(sphere)
    mixture = rgen.fit_kernel_mixture(kernel, train, validation, min_variance)
    return -rgen.log_prob(mixture, test, chunk_size=64)


def flat_nll(*parts):
    train, validation, test = map(coordinates, parts)
    kernel = rgen.EuclideanHeatKernel(rgen.Euclidean(2))
    mixture = rgen.fit_kernel_mixture(kernel, train, validation, min_variance)
    log_q = rgen.log_prob(mixture, test, chunk_size=64)
    return -(log_q - jnp.log(jnp.cos(test[:, 1])))


# %%
delhi = rgen.datasets.to_unit(77.2, 28.6)
turned = jnp.stack([*sphere.basis(delhi), delhi])  # the third axis is the pole
near = jax.vmap(sphere.dist, (0, None))(test, delhi) < jnp.deg2rad(15)

print(f"{'pole':<14}{'held-out places':<22}{'NLL, sphere':>12}{'NLL, flat':>11}")
for name, rotation in {"North Pole": jnp.eye(3), "Delhi": turned}.items():
    parts = [x @ rotation.T for x in (train, validation, test)]
    right, wrong = spherical_nll(*parts), flat_nll(*parts)
    for label, rows in {"all": near | ~near, "15° around Delhi": near}.items():
        label = f"{label} ({jnp.sum(rows)})"
        print(
            f"{name:<14}{label:<22}{jnp.mean(right[rows]):>12.3f}"
            f"{jnp.mean(wrong[rows]):>11.3f}"
        )

# %% [markdown]
# The sphere gives the same number for both poles. On the Earth as it is, flat kernels
# lose nothing on these data: hardly anybody lives near the poles. With the pole among
# the data, the same kernels on the same places lose, and most where the pole is.
#
# ## What to change first
#
# - `variance`: at a hundredth of it, how near to the pole is the flat noise still
#   right?
# - `delhi`: put the pole into an ocean, or into your own town.
# - `triangles`: halve the sides of the hyperbolic triangle, and the turn falls with its
#   area.
# - `scenes`: add a manifold of your own. The fan needs only `exp` and a basis.
