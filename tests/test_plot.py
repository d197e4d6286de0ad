import io
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from surfaces import AngleTorus, Ellipsoid, TorusOfRevolution

from rgen import datasets, plot
from rgen._manifold import Euclidean, SpecialOrthogonal, Sphere, Torus
from rgen.plot._projection._batch import contains, forward, inverse
from rgen.plot._style import INK, PAPER


matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
plt = pytest.importorskip("matplotlib.pyplot")

_spheres = [
    plot.Mollweide(),
    plot.Mollweide(-100),
    plot.Orthographic(),
    plot.Orthographic(20, 30.0),
    plot.Orthographic(-50, -90),
]
_flat = [plot.AnglePlane(), plot.Coordinates(Euclidean(2), 2.5), plot.PoincareDisc()]
_views = [
    plot.SurfaceView(TorusOfRevolution(), 20, 35),
    plot.SurfaceView(Ellipsoid(), 20.0, 35.0),
]
_on_spheres = pytest.mark.parametrize("projection", _spheres, ids=str)
_everywhere = pytest.mark.parametrize(
    "projection", _spheres + _flat + _views, ids=lambda projection: str(projection)
)


def _uniform(n):
    return jax.vmap(Sphere(2).uniform)(jr.split(jr.key(0), n))


def _some(projection, n):
    """Points of the manifold of a map."""
    manifold, keys = projection.manifold, jr.split(jr.key(0), n)
    if manifold.compact:
        return jax.vmap(manifold.uniform)(keys)
    return 1.5 * jr.normal(keys[0], (n, 2))


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


# At the rim of the globe a rounding error e of the map is one of sqrt(2 e) of the
# sphere: 5e-4 in float32, 2e-8 in float64. The Mollweide is as steep at the poles, and
# the disc at its rim, where points are at the distance 7.
@pytest.mark.parametrize("projection", _spheres + _flat, ids=str)
@pytest.mark.parametrize("x64, tolerance", [(False, 1e-3), (True, 1e-7)])
def test_round_trip(projection, x64, tolerance):
    with jax.enable_x64(x64):
        x = _some(projection, 1000)
        if x.shape[1] == 3:
            poles = jnp.array([[0, 0, 1], [0, 0, -1]], float)
            x = jnp.concatenate([poles, x])
        uv, visible = forward(projection, x)
        again = inverse(projection, uv)
        assert uv.dtype == x.dtype == again.dtype
        assert np.all(np.isfinite(uv))
        np.testing.assert_allclose(again[visible], x[visible], rtol=0, atol=tolerance)
        assert np.all(contains(projection, uv[visible] / (1 + tolerance)))


@pytest.mark.parametrize("projection", _views, ids=str)
@pytest.mark.parametrize("x64, tolerance", [(False, 1e-4), (True, 1e-8)])
def test_round_trip_on_surfaces(projection, x64, tolerance):
    with jax.enable_x64(x64):
        x = _some(projection, 1000)
        uv, visible = forward(projection, x)
        assert 300 < np.sum(visible) < 600
        error = np.abs(inverse(projection, uv) - x)[visible].max(1)
        # Where a line of sight grazes the surface, it may pass between two of the
        # points that are searched, a 64th of the radius apart.
        assert np.quantile(error, 0.98) < tolerance
        assert np.max(error) < 0.03


@pytest.mark.parametrize("projection", _spheres, ids=str)
def test_outside_is_the_rim(projection):
    rim = jnp.array(projection.semi_axes) * jnp.array([0.6, -0.8])
    expected = projection.inverse(rim)
    # As in the round trip, the square root of a rounding error.
    np.testing.assert_allclose(projection.inverse(1.5 * rim), expected, atol=1e-3)


@pytest.mark.parametrize("projection", _flat, ids=str)
def test_outside_of_the_flat_maps_is_the_rim(projection):
    a, _ = projection.semi_axes
    expected = projection.inverse(jnp.array([a, 0.0]))
    outside = projection.inverse(jnp.array([1.5 * a, 0.0]))
    np.testing.assert_allclose(outside, expected)
    assert jnp.all(jnp.isfinite(expected))


def test_angles_are_the_same_at_the_wrap():
    plane = plot.AnglePlane()
    x = jnp.array([[3.0, -3.0], [3.0 - 2 * np.pi, 2 * np.pi - 3.0], [1.0, 9.0]])
    uv, visible = forward(plane, x)
    assert np.all(visible)
    np.testing.assert_allclose(uv[0], np.rad2deg([3.0, -3.0]), rtol=1e-6)
    np.testing.assert_allclose(uv[1], uv[0], rtol=1e-5)
    np.testing.assert_allclose(uv[2], np.rad2deg([1.0, 9 - 2 * np.pi]), rtol=1e-5)
    at_the_edge, _ = forward(plane, jnp.array([[np.pi, -np.pi], [-np.pi, 3 * np.pi]]))
    assert np.all(np.isclose(np.abs(at_the_edge), 180))


def test_the_disc_is_conformal():
    # A tangent vector of length 1 is (1 - |u|^2) / 2 long on the disc.
    with jax.enable_x64(True):
        disc = plot.PoincareDisc()
        x = _some(disc, 50)
        uv, _ = forward(disc, x)
        basis = jax.vmap(disc.manifold.basis)(x)
        push = lambda x, v: jax.jvp(lambda x: disc.forward(x)[0], (x,), (v,))[1]
        pushed = jax.vmap(jax.vmap(push, (None, 0)))(x, basis)
        gram = jnp.einsum("nai,nbi->nab", pushed, pushed)
        length = (1 - np.sum(uv**2, 1)) / 2
        expected = length[:, None, None] ** 2 * np.eye(2)
        np.testing.assert_allclose(gram, expected, atol=1e-12)


def test_coordinates_end():
    plane = plot.Coordinates(Euclidean(2), 2.0)
    _, visible = forward(plane, jnp.array([[1.9, -1.9], [2.1, 0.0], [0.0, -2.1]]))
    np.testing.assert_array_equal(visible, [True, False, False])
    with pytest.raises(ValueError, match="`half_width` to be positive, got 0"):
        plot.Coordinates(Euclidean(2), 0.0)
    with pytest.raises(ValueError, match=r"points of shape \(2,\).*Sphere.* \(3,\)"):
        plot.Coordinates(Sphere(2))


def test_coordinates_of_a_metric_wrap(ax):
    chart = plot.Coordinates(AngleTorus(), np.pi)
    x = jnp.array([[3.0, 0.5], [-3.0, 0.5 + 2 * jnp.pi]])
    strokes = _strokes(plot.trajectories(ax, chart, x[None]))
    assert [len(stroke) > 5 for stroke in strokes] == [True, True]
    assert strokes[0][:, 0].min() >= 3.0 - 1e-6 and strokes[1][:, 0].max() <= -3 + 1e-6
    np.testing.assert_allclose(np.concatenate(strokes)[:, 1], 0.5, atol=1e-5)


@pytest.mark.parametrize("half_width", [1e-3, 1e3])
def test_lines_are_fine_and_whole_at_every_scale(ax, half_width):
    plane = plot.Coordinates(Euclidean(2), half_width)
    x = half_width * jnp.array([[-0.9, -0.9], [0.0, 0.3], [0.9, 0.9]])
    (stroke,) = _strokes(plot.trajectories(ax, plane, x[None]))
    assert 200 < len(stroke) < 500


def test_a_surface_hides_its_far_side():
    surface = TorusOfRevolution()
    # Seen along the first axis: in front, behind that, the inner wall that faces the
    # viewer but is behind the front, the far side, and the top.
    x = [[1.5, 0, 0], [0.5, 0, 0], [-0.5, 0, 0], [-1.5, 0, 0], [0.8, 0.6, 0.5]]
    _, visible = forward(plot.SurfaceView(surface, 0, 1e-3), jnp.array(x))
    np.testing.assert_array_equal(visible, [True, False, False, False, True])
    # From above the hole is open.
    _, visible = forward(plot.SurfaceView(surface, 0, 60), jnp.array(x))
    np.testing.assert_array_equal(visible, [True, False, True, False, True])


def test_an_ellipsoid_hides_what_faces_away():
    view = _views[1]
    x = _some(view, 500)
    _, visible = forward(view, x)
    λ, φ = np.deg2rad([20, 35])
    towards = [np.cos(φ) * np.cos(λ), np.cos(φ) * np.sin(λ), np.sin(φ)]
    faces = x / jnp.array([1, 0.8, 0.6]) ** 2 @ jnp.array(towards)
    clear = np.abs(faces) > 0.02
    np.testing.assert_array_equal(visible[clear], faces[clear] > 0)


def _enclosed(lines):
    """The area that closed lines enclose, holes taken away."""
    cross = lambda a, b: a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return abs(sum(np.sum(cross(line[:-1], line[1:])) / 2 for line in lines))


@pytest.mark.parametrize(
    "surface, longitude, latitude, lines, area",
    [
        (TorusOfRevolution(), 0, 90, 2, 2 * np.pi),
        # From the side, a rectangle of width 2 between two half discs.
        (TorusOfRevolution(), 50, 0, 1, 2 + np.pi / 4),
        (Ellipsoid(), 0, 0, 1, np.pi * 0.8 * 0.6),
        (Ellipsoid(), 90, 0, 1, np.pi * 0.6),
    ],
)
def test_silhouettes(surface, longitude, latitude, lines, area):
    outline = plot.SurfaceView(surface, longitude, latitude).outline()
    assert len(outline) == lines
    # Straight pieces of 1/120 of the radius.
    assert _enclosed(outline) == pytest.approx(area, rel=1e-3)


@_everywhere
def test_outlines_are_closed_and_around_the_map(projection):
    for line in projection.outline():
        np.testing.assert_allclose(line[0], line[-1], atol=1e-12)
    area = _enclosed(projection.outline())
    a, b = projection.semi_axes
    corner = np.array([a, b])
    uv = jr.uniform(jr.key(0), (20_000, 2), minval=-corner, maxval=corner)
    share = np.mean(contains(projection, uv))
    # Four standard deviations.
    assert area / (4 * a * b) == pytest.approx(share, abs=4 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize("projection", _views, ids=str)
def test_the_grid_of_a_view_is_on_its_surface(projection):
    x = plot.grid(projection, 30)
    assert jnp.all(jax.vmap(projection.manifold.contains)(x))


def test_what_a_surface_view_takes():
    class Open(Ellipsoid):
        radius = np.inf

    class Circles(Ellipsoid):
        dim = 1

    with pytest.raises(ValueError, match=r"`manifold` .*not compact.* `radius`"):
        plot.SurfaceView(Open())
    with pytest.raises(ValueError, match=r"expected `manifold` .* dimension 1"):
        plot.SurfaceView(Circles())
    with pytest.raises(TypeError, match=r"`manifold` .* an rgen\.AbstractLevelSet"):
        plot.SurfaceView(Sphere(2))


@eqx.filter_jit
def _area_scales(projection, x):
    """By how much the map changes area at each of the points `x`."""

    def scale(x):
        derivative = jax.jacfwd(lambda y: projection.forward(y)[0])(x)
        return jnp.abs(jnp.linalg.det(derivative @ Sphere(2).basis(x).T))

    return jax.vmap(scale)(x)


def test_mollweide_keeps_area():
    # The ellipse has the area 2 pi, and the sphere 4 pi.
    with jax.enable_x64(True):
        scale = _area_scales(plot.Mollweide(), _uniform(500))
        np.testing.assert_allclose(scale, 0.5, rtol=1e-6)


def test_orthographic_area():
    with jax.enable_x64(True):
        projection, x = plot.Orthographic(20, 30), _uniform(500)
        centre = datasets.to_unit(jnp.array(20.0), jnp.array(30.0))
        scale = _area_scales(projection, x)
        np.testing.assert_allclose(scale, jnp.abs(x @ centre), atol=1e-12)
        _, visible = forward(projection, x)
        np.testing.assert_array_equal(visible, x @ centre > 0)


@pytest.mark.parametrize(
    "projection, east, pole",
    [
        (plot.Mollweide(), [1, 0], [0, 1]),
        (plot.Mollweide(90), [0, 0], [0, 1]),
        (plot.Orthographic(), [1, 0], [0, 1]),
        # Seen from above the North Pole, the date line is up.
        (plot.Orthographic(0, 90), [1, 0], [0, 0]),
    ],
    ids=str,
)
def test_known_places(projection, east, pole):
    x = datasets.to_unit(jnp.array([90.0, 0.0]), jnp.array([0.0, 90.0]))
    uv, _ = forward(projection, x)
    # In float32 the pole is off by 4e-8, and the Mollweide moves it by about the power
    # 2/3 of that, 1e-5.
    np.testing.assert_allclose(uv, [east, pole], atol=1e-4)


@_on_spheres
def test_lines_do_not_streak(ax, projection):
    line = plot.coastlines(ax, projection)
    step = np.linalg.norm(np.diff(line.get_xydata(), axis=0), axis=1)
    # Steps of half a degree, 0.009, are stretched by the Mollweide at the latitude of
    # the southernmost coast, 85 degrees, by up to 3: there it maps the distance to the
    # pole at the aspect of 1 to 6.
    assert np.nanmax(step) < 0.03
    assert np.sum(np.isfinite(step)) > 1000


def test_coastlines_are_whole(ax):
    # The Mollweide shows all of them: each ring is one stroke, or more at the seam.
    line = plot.coastlines(ax, plot.Mollweide())
    breaks = np.isnan(line.get_xydata()[:, 0]).sum()
    assert breaks >= 125
    assert breaks < 140


@pytest.mark.parametrize("projection", _spheres, ids=str)
def test_grid_fills_the_map(ax, projection):
    x = plot.grid(projection, 20)
    image = plot.density(ax, projection, jnp.zeros(len(x)), 20)
    blank = np.ma.getmaskarray(image.get_array())
    a, b = projection.semi_axes
    rows, columns = blank.shape
    assert columns == round(rows * a / b)
    v, u = np.mgrid[0:rows, 0:columns]
    corners = [((u + i) * 2 / columns - 1, (v + j) * 2 / rows - 1)
               for i in (0, 1) for j in (0, 1)]  # fmt: skip
    touched = np.min([np.hypot(*corner) for corner in corners], axis=0) <= 1
    assert not np.any(blank & touched)
    assert np.any(blank)


def test_density_shows_its_values(ax):
    # A log-density that is the third coordinate rises from the south to the north, and
    # that of the map at its middle row is 0.
    projection = plot.Mollweide()
    x = plot.grid(projection, 21)
    image = plot.density(ax, projection, x[:, 2], 21, span=1.5)
    values = image.get_array()
    np.testing.assert_allclose(values[10], 0, atol=1e-6)
    top = float(jnp.max(x[:, 2]))
    assert image.get_clim() == pytest.approx((top - 1.5, top))
    # What is below the range is shown at its lower end.
    np.testing.assert_allclose(values[0].compressed(), top - 1.5, rtol=1e-6)
    assert np.all(np.diff(values[:, 21][5:]) > 0)


def test_density_takes_numpy(ax):
    projection = plot.Mollweide()
    values = np.asarray(plot.grid(projection, 20)[:, 2])
    image = plot.density(ax, projection, values, 20)
    assert image.get_clim()[1] == pytest.approx(values.max())


def test_density_of_another_grid(ax):
    projection = plot.Mollweide()
    values = jnp.zeros(len(plot.grid(projection, 20)))
    with pytest.raises(ValueError, match=r"Evaluate it on rgen\.plot\.grid\("):
        plot.density(ax, projection, values, 30)


def test_density_with_values_that_are_not_finite(ax):
    projection = plot.Orthographic()
    x = plot.grid(projection, 21)
    values = x[:, 2].at[jnp.array([3, 200])].set(jnp.inf).at[100].set(jnp.nan)
    values = values.at[50].set(-jnp.inf)
    image = plot.density(ax, projection, values, 21, span=1.5)
    # The rest is as it was.
    other = plot.density(ax, projection, x[:, 2], 21, span=1.5)
    blank = np.ma.getmaskarray(image.get_array())
    assert np.sum(blank) == np.sum(np.ma.getmaskarray(other.get_array())) + 3
    assert image.get_clim() == pytest.approx(other.get_clim())
    assert np.ma.min(image.get_array()) == pytest.approx(image.get_clim()[0])
    # The two infinite ones are marked where they are.
    (marks,) = ax.lines
    at = jax.vmap(lambda y: projection.forward(y)[0])(x[jnp.array([3, 200])])
    near = marks.get_xydata()[np.argsort(marks.get_ydata())]
    # A pixel of the rim is moved onto the map.
    np.testing.assert_allclose(near, at[np.argsort(at[:, 1])], atol=0.1)
    with pytest.raises(ValueError, match="to have a finite value"):
        plot.density(ax, projection, values * jnp.nan, 21)


def test_a_map_without_pixels(ax):
    for pixels in (0, -3):
        with pytest.raises(ValueError, match=f"`pixels`.* at least 1, got {pixels}"):
            plot.grid(plot.Mollweide(), pixels)
        with pytest.raises(ValueError, match=f"`pixels`.* at least 1, got {pixels}"):
            plot.density(ax, plot.Mollweide(), jnp.zeros(3), pixels)
    with pytest.raises(ValueError, match="`span` in nats to be positive, got 0"):
        plot.density(ax, plot.Mollweide(), jnp.zeros(3), 20, span=0.0)


def test_points_on_the_near_side(ax):
    projection, x = plot.Orthographic(0, 90), _uniform(500)
    dots = plot.points(ax, projection, x)
    near = x[x[:, 2] >= 0]
    assert 0 < len(near) < 500
    # From above the pole, east is to the right where longitude 90 is.
    expected = np.stack([near[:, 1], -near[:, 0]], axis=1)
    np.testing.assert_allclose(dots.get_offsets(), expected, atol=1e-6)


def test_points_off_the_sphere(ax):
    with pytest.raises(ValueError, match="not on it"):
        plot.points(ax, plot.Mollweide(), 2 * _uniform(5))


@pytest.mark.parametrize("projection", [_spheres[0], _spheres[3]], ids=str)
def test_figure(ax, projection, tmp_path):
    x = _uniform(300)
    plot.frame(ax, projection)
    image = plot.density(ax, projection, plot.grid(projection, 50)[:, 2], 50)
    coasts = plot.coastlines(ax, projection)
    train = plot.points(ax, projection, x[:200], label="train")
    test = plot.points(ax, projection, x[200:], color="gold", label="held out")
    bar = plot.color_bar(ax, image)
    key = plot.legend(ax)
    ax.figure.savefig(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert [text.get_text() for text in key.get_texts()] == ["train", "held out"]
    assert all(handle.get_alpha() == 1 for handle in key.legend_handles)
    assert "nats" in bar.ax.get_xlabel()
    layers = [artist.get_zorder() for artist in (image, coasts, train)]
    assert layers == sorted(set(layers))
    assert test in ax.collections
    for artist in (image, coasts, train, test, key):
        assert artist.get_visible()
    # All that is drawn is within the limits of the axes.
    a, b = projection.semi_axes
    assert np.nanmax(np.abs(coasts.get_xdata())) <= a < ax.get_xlim()[1]
    assert np.nanmax(np.abs(coasts.get_ydata())) <= b < ax.get_ylim()[1]


@pytest.mark.parametrize("projection", _flat + _views, ids=str)
def test_figures_of_other_manifolds(ax, projection, tmp_path):
    a, _ = projection.semi_axes
    plot.frame(ax, projection)
    x = plot.grid(projection, 30)
    image = plot.density(ax, projection, -jnp.sum(x**2, axis=1), 30)
    plot.points(ax, projection, _some(projection, 50), label="samples")
    plot.legend(ax)
    plot.color_bar(ax, image)
    ax.figure.savefig(tmp_path / "map.png")
    assert image.get_extent() == [-a, a, -a, a]
    assert image.get_clip_path() is not None
    assert ax.get_xlim() == pytest.approx((-1.01 * a, 1.01 * a))


def test_ticks_of_the_angles_are_degrees(ax):
    plot.frame(ax, plot.AnglePlane())
    ax.figure.canvas.draw()
    for axis in (ax.xaxis, ax.yaxis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert labels == ["−180°", "−90°", "0°", "90°", "180°"]


def test_densities_share_one_scale():
    figure, axes = plt.subplots(1, 2)
    plane = plot.AnglePlane()
    x = plot.grid(plane, 10)
    low = plot.density(axes[0], plane, x[:, 0], 10, span=9.0)
    high = plot.density(axes[1], plane, 3 * x[:, 0] + 1, 10, span=9.0)
    top = float(jnp.max(3 * x[:, 0] + 1))
    bar = plot.color_bar(axes, [low, high])
    for image in (low, high):
        assert image.get_clim() == pytest.approx((top - 9, top))
    assert (bar.vmin, bar.vmax) == pytest.approx((top - 9, top))
    other = plot.density(axes[1], plane, x[:, 0], 10, span=5.0)
    with pytest.raises(ValueError, match="one span, got spans of 9, 5 nats"):
        plot.color_bar(axes, [low, other])
    # One alone stays as it is.
    plot.color_bar(axes[0], low)
    assert low.get_clim() == pytest.approx((top - 9, top))
    plt.close(figure)


def _strokes(line):
    """The pieces of a line that NaN breaks."""
    uv = line.get_xydata()
    parts = np.split(uv, np.flatnonzero(np.isnan(uv[:, 0])))
    parts = [part[np.isfinite(part[:, 0])] for part in parts]
    return [part for part in parts if len(part) > 0]


def test_trajectories_wrap(ax):
    # Twice over the edge at the right, in steps of 0.3 radians.
    x = jnp.stack([2.0 + 0.3 * jnp.arange(30), jnp.full(30, 0.5)], 1)
    strokes = _strokes(plot.trajectories(ax, plot.AnglePlane(), x[None]))
    assert len(strokes) == 3
    for stroke in strokes:
        assert np.max(np.abs(np.diff(stroke[:, 0]))) < 0.51
        np.testing.assert_allclose(stroke[:, 1], np.rad2deg(0.5), rtol=1e-5)
    assert all(abs(stroke[-1, 0] - 180) < 0.6 for stroke in strokes[:2])
    assert all(abs(stroke[0, 0] + 180) < 0.6 for stroke in strokes[1:])
    # Points in another turn of the torus are the same.
    again = plot.trajectories(ax, plot.AnglePlane(), x[None] - 2 * np.pi)
    assert len(_strokes(again)) == 3


def test_trajectories_break_behind_the_globe_and_between_paths(ax):
    angle = jnp.linspace(0, 2 * jnp.pi, 40)
    equator = jnp.stack([jnp.cos(angle), jnp.sin(angle), 0 * angle], 1)
    tilted = jnp.roll(equator, 1, axis=1)
    globe = plot.Orthographic()
    strokes = _strokes(plot.trajectories(ax, globe, jnp.stack([equator, tilted])))
    points = np.concatenate(strokes)
    assert np.max(np.abs(points[:, 0][np.abs(points[:, 1]) < 1e-9])) > 0.99
    assert all(np.max(np.linalg.norm(np.diff(s, axis=0), axis=1)) < 0.01
               for s in strokes)  # fmt: skip
    (seam,) = [plot.trajectories(ax, plot.Mollweide(), equator[None])]
    assert len(_strokes(seam)) == 2
    # The chords of the steps are not drawn: each is a geodesic.
    np.testing.assert_allclose(np.concatenate(_strokes(seam))[:, 1], 0, atol=1e-6)


def test_trajectories_on_a_surface_stay_on_it(ax):
    view = plot.SurfaceView(TorusOfRevolution(), 0, 90)
    angle = jnp.linspace(0, 2 * jnp.pi, 73)
    top = jnp.stack([jnp.cos(angle), jnp.sin(angle), 0.5 + 0 * angle], 1)
    (stroke,) = _strokes(plot.trajectories(ax, view, top[None]))
    # Chords of 5 degrees are as near as 0.999 to the axis.
    radius = np.linalg.norm(stroke, axis=1)
    np.testing.assert_allclose(radius, 1, atol=0.001)
    assert len(stroke) > 500


def test_paths_of_another_shape(ax):
    for call in (plot.trajectories, plot.animate):
        with pytest.raises(
            ValueError, match=r"`xs` .*\(n, steps, 3\), got shape \(5, 3"
        ):
            call(ax, plot.Mollweide(), _uniform(5))
        with pytest.raises(ValueError, match="not on it"):
            call(ax, plot.Mollweide(), 2 * _uniform(5)[None])
    # What the message says to write.
    plot.trajectories(ax, plot.Mollweide(), _uniform(5)[None])


@pytest.mark.parametrize("projection", [_spheres[0], _flat[2], _views[0]], ids=str)
def test_arrows_are_derivatives_of_the_map(ax, projection):
    with jax.enable_x64(True):
        manifold, x = projection.manifold, _some(projection, 40)
        v = jax.vmap(manifold.tangent_noise)(x, jr.split(jr.key(1), 40))
        quiver = plot.arrows(ax, projection, x, v)
        small = 1e-6
        ends = x + small * v
        start, visible = forward(projection, x)
        uv = (forward(projection, ends)[0] - start) / small
        np.testing.assert_allclose(quiver.XY, start[visible])
        drawn = np.stack([quiver.U, quiver.V], 1)
        np.testing.assert_allclose(drawn, uv[visible], rtol=1e-3, atol=1e-4)


def test_arrows_on_the_torus_are_in_degrees(ax):
    x, v = jnp.array([[3.1, 0.0]]), jnp.array([[0.5, -0.25]])
    quiver = plot.arrows(ax, plot.AnglePlane(), x, v)
    assert (quiver.U[0], quiver.V[0]) == pytest.approx(tuple(np.rad2deg([0.5, -0.25])))
    with pytest.raises(
        ValueError, match=r"`v` .* of shape \(1, 2\) .*got shape \(2,\)"
    ):
        plot.arrows(ax, plot.AnglePlane(), x, v[0])


def test_animation(ax, tmp_path):
    image = pytest.importorskip("PIL.Image")
    globe = plot.Orthographic()
    angle = jnp.linspace(0, jnp.pi, 7)
    path = jnp.stack([jnp.cos(angle), jnp.sin(angle), 0 * angle], 1)
    plot.frame(ax, globe)
    # The second stays in sight: a GIF leaves out frames in which nothing moves.
    across = jnp.roll(path, 1, axis=1)[::-1].at[:, 0].set(1e-3)
    across = jax.vmap(globe.manifold.project)(across)
    animation = plot.animate(ax, globe, jnp.stack([path, across]))
    animation.save(tmp_path / "a.gif", writer="pillow", fps=10)
    with image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 7
    (dots,) = ax.collections
    for step in (1, 5):
        animation._draw_frame(step)
        place = np.ma.filled(dots.get_offsets()[0], np.nan)
        if step == 1:
            np.testing.assert_allclose(place, [np.sin(np.pi / 6), 0], atol=1e-6)
        else:
            assert np.all(np.isnan(place))


def test_coastlines_are_of_the_sphere(ax):
    with pytest.raises(TypeError, match="AbstractSphereProjection"):
        plot.coastlines(ax, plot.AnglePlane())


def _angles(n):
    """Two angles around 180 and 0 degrees that move together, and a uniform one."""
    a, b, c = jr.normal(jr.key(0), (3, n))
    uniform = jr.uniform(jr.key(1), (n,), minval=-np.pi, maxval=np.pi)
    return jnp.stack([np.pi + 0.3 * a, 0.2 * a + 0.2 * b, uniform + 0 * c], 1)


def test_corner():
    figure, axes = plt.subplots(3, 3)
    x = _angles(2000)
    lines = plot.corner(axes, x, label="data", names=["a", "b", "c"])
    plot.corner(axes, x + 4 * np.pi, color="#d1342f", label="model")
    key = plot.legend(axes[0, 0])
    assert [text.get_text() for text in key.get_texts()] == ["data", "model"]
    heights = [line.get_ydata()[:-1] for line in lines]
    np.testing.assert_allclose(np.sum(heights, axis=1) * 5, 1, rtol=1e-9)
    # The first angle is at both ends, the second in the middle.
    assert heights[0][0] > 0.01 and heights[0][-1] > 0.01 and heights[0][36] == 0
    assert heights[1][0] == 0 and heights[1][36] > 0.01
    np.testing.assert_allclose(heights[2], 1 / 360, atol=5 * np.sqrt(72 / 2000) / 360)
    for line, again in zip(
        lines, [axes[k, k].lines[-1] for k in range(3)], strict=True
    ):
        np.testing.assert_allclose(line.get_ydata(), again.get_ydata(), atol=2e-3)
    assert [ax.get_xlabel() for ax in axes[2]] == ["a", "b", "c"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["", "b", "c"]
    assert not any(axes[i, j].axison for i, j in [(0, 1), (0, 2), (1, 2)])
    plt.close(figure)


def test_the_regions_of_a_corner_hold_what_they_say():
    figure, axes = plt.subplots(2, 2)
    x = _angles(4000)[:, :2]
    plot.corner(axes, x)
    # Filled regions of 90 % and 50 %, then their borders.
    degrees = np.rad2deg(np.asarray(jax.vmap(Torus(2).project)(x)))
    for share, region in zip([0.9, 0.5], axes[1, 0].collections[:2], strict=True):
        (path,) = region.get_paths()
        held = np.mean(path.contains_points(degrees))
        # The border is between the centres of bins.
        assert held == pytest.approx(share, abs=0.03)
    plt.close(figure)


def test_smooth_histograms_wrap():
    from rgen.plot._angles._corner import _smooth_histogram

    u, v = np.random.default_rng(0).uniform(-180, 180, (2, 300))
    heights = _smooth_histogram(u, v)
    assert np.sum(heights) == pytest.approx(300)
    moved = _smooth_histogram((u + 270) % 360 - 180, v)
    np.testing.assert_allclose(moved, np.roll(heights, 18, axis=0), atol=1e-9)


def test_corners_that_do_not_fit():
    figure, axes = plt.subplots(2, 2)
    with pytest.raises(ValueError, match=r"`axes` of shape \(3, 3\).*got \(2, 2\)"):
        plot.corner(axes, _angles(5))
    with pytest.raises(ValueError, match=r"`names` to have 2 entries.* got 3"):
        plot.corner(axes, _angles(5)[:, :2], names=["a", "b", "c"])
    with pytest.raises(ValueError, match="expected `x` to hold points"):
        plot.corner(axes, _angles(5)[0])
    plt.close(figure)
    # One angle alone, and one point.
    figure, axes = plt.subplots(1, 1, squeeze=False)
    assert len(plot.corner(axes, _angles(5)[:, :1])) == 1
    plt.close(figure)
    figure, axes = plt.subplots(3, 3)
    plot.corner(axes, _angles(1))
    plt.close(figure)


def _turn(axis, angle):
    z = jnp.zeros(3).at[axis].set(jnp.deg2rad(angle))
    return SpecialOrthogonal(3).exp(jnp.eye(3), SpecialOrthogonal(3).algebra(z))


def test_rotations_on_a_map(ax):
    # The longitude, the latitude and the tilt of each.
    told = np.array([[30.0, 40, 50], [-170, -60, 175], [0, 0, -90], [120, 10, -20]])
    x = jnp.stack([_turn(2, a) @ _turn(1, -b) @ _turn(0, c) for a, b, c in told])
    world = plot.Mollweide()
    dots = plot.rotations(ax, world, x)
    places = datasets.to_unit(*jnp.asarray(told[:, :2].T))
    np.testing.assert_allclose(dots.get_offsets(), forward(world, places)[0], atol=1e-5)
    np.testing.assert_allclose(dots.get_array(), told[:, 2], atol=1e-3)
    assert dots.get_clim() == (-180, 180)
    near = plot.rotations(ax, plot.Orthographic(), x)
    np.testing.assert_allclose(near.get_array(), told[[0, 2], 2], atol=1e-3)
    with pytest.raises(ValueError, match="not on it"):
        plot.rotations(ax, world, 2 * x)


def test_the_colors_of_tilts_are_a_cycle(ax):
    wheel = plot.color_wheel(ax)
    assert wheel in ax.child_axes
    (ring,) = wheel.collections
    colors = ring.cmap(np.arange(360))[:, :3]
    step = np.linalg.norm(np.diff(colors, axis=0, append=colors[:1]), axis=1)
    assert np.max(step) < 0.02
    # None is cut off at the edge of sRGB: their luminances differ by little.
    assert np.min(colors) > 0 and np.max(colors) < 1
    linear = np.where(
        colors < 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4
    )
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert np.ptp(luminance) < 0.1


def test_euler_angles():
    figure, axes = plt.subplots(1, 3)
    told = [30.0, 100.0, -60.0]
    x = (_turn(2, told[0]) @ _turn(1, told[1]) @ _turn(2, told[2]))[None]
    lines = plot.euler_histograms(axes, x)
    for line, angle in zip(lines, told, strict=True):
        edges, heights = line.get_data()
        k = np.argmax(heights)
        assert edges[k] - 1e-3 <= angle <= edges[k] + 5 + 1e-3
        assert heights[k] == pytest.approx(1 / 5)
    with pytest.raises(ValueError, match=r"three axes.* got 2"):
        plot.euler_histograms(axes[:2], x)
    plt.close(figure)


def test_euler_angles_of_uniform_rotations():
    figure, axes = plt.subplots(1, 3)
    n = 20_000
    x = jax.vmap(SpecialOrthogonal(3).uniform)(jr.split(jr.key(0), n))
    lines = plot.euler_histograms(axes, x, label="samples")
    for ax, line in zip(axes, lines, strict=True):
        edges, heights = line.get_data()
        at, expected = ax.lines[1].get_data()
        assert np.trapezoid(expected, at) == pytest.approx(1, rel=1e-4)
        middle = np.interp(edges[:-1] + 2.5, at, expected)
        # Five standard deviations of the counts.
        noise = 5 * np.sqrt(np.maximum(middle * 5, 1e-3) / n) / 5
        assert np.all(np.abs(heights[:-1] - middle) < noise)
    labels = [text.get_text() for text in plot.legend(axes[0]).get_texts()]
    assert labels == ["samples", "uniform"]
    plt.close(figure)


def test_triads():
    figure = plt.figure()
    ax = figure.add_subplot(projection="3d")
    x = jax.vmap(SpecialOrthogonal(3).uniform)(jr.split(jr.key(0), 4))
    positions = jr.normal(jr.key(1), (4, 3))
    lines = plot.triads(ax, x, positions, length=0.5)
    assert len(lines) == 3
    for k, line in enumerate(lines):
        pieces = np.stack(line.get_data_3d(), 1).reshape(4, 3, 3)
        np.testing.assert_allclose(pieces[:, 0], positions)
        ends = positions + 0.5 * x[:, :, k]
        np.testing.assert_allclose(pieces[:, 1], ends, rtol=1e-6)
        assert np.all(np.isnan(pieces[:, 2]))
    assert len(plot.triads(ax, x)) == 3
    with pytest.raises(ValueError, match=r"positions, of shape \(4, 3\), got shape"):
        plot.triads(ax, x, positions[:2])
    figure.canvas.draw()
    plt.close(figure)


def test_training_curve(ax):
    losses = [3.0, 1.0, 2.0, np.nan, 4.0]
    line = plot.training_curve(ax, losses, window=2, label="loss")
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_allclose(line.get_ydata(), [3, 2, 1.5, 2, 4])
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "step"
    ax.figure.canvas.draw()


def test_a_training_curve_with_negative_losses(ax):
    line = plot.training_curve(ax, jnp.array([1.0, -1.0, np.inf]))
    np.testing.assert_allclose(line.get_ydata(), [1, 0, 0])
    assert ax.get_yscale() == "linear"


def test_training_curves_of_nothing(ax):
    with pytest.raises(ValueError, match=r"`losses` .* got \(0,\)"):
        plot.training_curve(ax, [])
    with pytest.raises(ValueError, match=r"`losses` .* got \(2, 2\)"):
        plot.training_curve(ax, np.ones((2, 2)))
    with pytest.raises(ValueError, match="`window` to be at least 1 step, got 0"):
        plot.training_curve(ax, [1.0], window=0)


def _luminance(color):
    return float(np.array(matplotlib.colors.to_rgb(color)) @ [0.2126, 0.7152, 0.0722])


def _picture(figure, **options):
    figure.canvas.draw()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **options)
    buffer.seek(0)
    return plt.imread(buffer)


def _draw_on_paper(kind, ax):
    plane = plot.AnglePlane()
    if kind == "map":
        plot.frame(ax, plane)
        plot.points(ax, plane, jnp.ones((1, 2)), label="points")
    if kind == "histogram":
        plot.corner(np.array([[ax]]), jnp.ones((3, 1)), label="points")
    if kind == "curve":
        plot.training_curve(ax, [1.0, 2.0], label="points")
    return plot.legend(ax)


@pytest.mark.parametrize("kind", ["map", "histogram", "curve"])
@pytest.mark.parametrize("style, page", [("default", 1.0), ("dark_background", 0.0)])
def test_both_pages_are_readable(kind, style, page):
    with plt.style.context(style):
        figure, ax = plt.subplots()
        key = _draw_on_paper(kind, ax)
        # Outside of the paper: text has the colours of the style.
        outside = [ax.xaxis.label, ax.title, *ax.get_xticklabels()]
        assert all(abs(_luminance(t.get_color()) - page) > 0.6 for t in outside)
        # On paper, in both.
        assert key.get_frame().get_facecolor()[:3] == matplotlib.colors.to_rgb(PAPER)
        assert all(
            matplotlib.colors.same_color(text.get_color(), INK)
            for text in key.get_texts()
        )
        # A transparent picture keeps its paper, and nothing else.
        pixels = _picture(figure, transparent=True)
        assert pixels[0, 0, 3] == 0
        x, y = ax.transAxes.transform((0.4, 0.985))
        at = pixels[round(len(pixels) - y), round(x)]
        np.testing.assert_allclose(at, [*matplotlib.colors.to_rgb(PAPER), 1], atol=0.01)
        plt.close(figure)


def test_import_takes_no_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; import rgen.plot"
    subprocess.run([sys.executable, "-c", code], check=True)
