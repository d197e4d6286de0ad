import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from rgen import datasets, plot
from rgen._manifold import Sphere
from rgen.plot._projection._batch import forward, inverse


matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
plt = pytest.importorskip("matplotlib.pyplot")

_projections = [
    plot.Mollweide(),
    plot.Mollweide(-100),
    plot.Orthographic(),
    plot.Orthographic(20, 30.0),
    plot.Orthographic(-50, -90),
]
_everywhere = pytest.mark.parametrize("projection", _projections, ids=str)


def _uniform(n):
    return jax.vmap(Sphere(2).uniform)(jr.split(jr.key(0), n))


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


# At the rim of the globe a rounding error e of the map is one of sqrt(2 e) of the
# sphere: 5e-4 in float32, 2e-8 in float64. The Mollweide is as steep at the poles.
@_everywhere
@pytest.mark.parametrize("x64, tolerance", [(False, 1e-3), (True, 1e-7)])
def test_round_trip(projection, x64, tolerance):
    with jax.enable_x64(x64):
        poles = jnp.array([[0, 0, 1], [0, 0, -1]], float)
        x = jnp.concatenate([poles, _uniform(1000)])
        uv, visible = forward(projection, x)
        again = inverse(projection, uv)
        assert jnp.all(jnp.isfinite(uv))
        np.testing.assert_allclose(again[visible], x[visible], rtol=0, atol=tolerance)
        inside = jnp.hypot(*(uv / jnp.array(projection.semi_axes)).T)
        assert jnp.max(inside) <= 1 + tolerance


@_everywhere
def test_outside_is_the_rim(projection):
    rim = jnp.array(projection.semi_axes) * jnp.array([0.6, -0.8])
    expected = projection.inverse(rim)
    # As in the round trip, the square root of a rounding error.
    np.testing.assert_allclose(projection.inverse(1.5 * rim), expected, atol=1e-3)


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


@_everywhere
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


@_everywhere
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


@pytest.mark.parametrize("projection", [_projections[0], _projections[3]], ids=str)
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


def test_import_takes_no_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; import rgen.plot"
    subprocess.run([sys.executable, "-c", code], check=True)
