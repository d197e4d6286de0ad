import functools as ft
import hashlib
import http.server
import sys
import threading

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import needs_earth_files

from rgen import _check, datasets
from rgen._manifold._sphere import Sphere
from rgen.datasets import _earth, _side_chains, _split


# Of the Earth, in km.
_RADIUS = 6371


def _uniform(n, seed=0):
    return jax.vmap(Sphere(2).uniform)(jr.split(jr.key(seed), n))


def _rows(x):
    """The rows in an order that does not depend on how they came."""
    x = np.asarray(x)
    return x[np.lexsort(x.T)]


def _km(longitude, latitude, x):
    """The distance to the nearest of the points `x`."""
    place = datasets.to_unit(jnp.array(longitude), jnp.array(latitude))
    return _RADIUS * jnp.min(jax.vmap(Sphere(2).dist, (None, 0))(place, x))


# Degrees


def test_to_unit_known():
    longitude, latitude = jnp.array([0.0, 90.0, 17.0]), jnp.array([0.0, 0.0, 90.0])
    x = datasets.to_unit(longitude, latitude)
    # cos of pi / 2 rounded to float32 is 4e-8.
    np.testing.assert_allclose(x, np.eye(3), atol=1e-7)


# In degrees: a few roundings of an angle of 180 degrees, and of coordinates of a unit
# vector, which the longitude amplifies by 1 / cos(85 degrees) = 11.
@pytest.mark.parametrize("x64, tolerance", [(False, 2e-4), (True, 1e-12)])
def test_degrees_round_trip(x64, tolerance):
    with jax.enable_x64(x64):
        longitude, latitude = np.meshgrid(np.arange(-179.0, 180), np.arange(-85.0, 86))
        x = datasets.to_unit(jnp.asarray(longitude), jnp.asarray(latitude))
        again = datasets.to_degrees(x)
        np.testing.assert_allclose(again[0], longitude, rtol=0, atol=tolerance)
        np.testing.assert_allclose(again[1], latitude, rtol=0, atol=tolerance)


def test_to_degrees_pole():
    poles = jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    np.testing.assert_array_equal(datasets.to_degrees(poles)[0], [0, 0])
    np.testing.assert_allclose(datasets.to_degrees(poles)[1], [90, -90], rtol=1e-6)
    assert jnp.all(jnp.isfinite(jax.jacobian(datasets.to_degrees)(poles[0])[0]))
    assert jnp.all(jnp.isfinite(jax.jacobian(datasets.to_degrees)(poles[0])[1]))


@pytest.mark.parametrize("x64", [False, True])
def test_to_degrees_near_a_pole(x64):
    with jax.enable_x64(x64):
        # Through the conversion, and with zeros of either sign.
        poles = datasets.to_unit(jnp.array([0.0, 120.0, 50.0]), jnp.array([90.0] * 3))
        poles = jnp.concatenate([poles, jnp.array([[-0.0, 0, 1], [-0.0, -0.0, -1]])])
        np.testing.assert_array_equal(datasets.to_degrees(poles)[0], 0)
        # A few metres off it is a direction.
        x = datasets.to_unit(jnp.array([-130.0]), jnp.array([89.9999]))
        np.testing.assert_allclose(datasets.to_degrees(x)[0], -130, atol=2.0)
    assert jnp.isnan(datasets.to_degrees(jnp.full(3, jnp.nan))[0])


def test_to_degrees_takes_lists():
    np.testing.assert_allclose(datasets.to_degrees([[0, 1, 0], [0, 0, -1]])[0], [90, 0])
    with pytest.raises(ValueError, match=r"of shape \(\.\.\., 3\), got \(2,\)"):
        datasets.to_degrees([0.0, 1.0])


def test_to_unit_swapped():
    with pytest.raises(ValueError, match=r"1 of 2 .*row 1,.*: 120\.0.*longitude comes"):
        datasets.to_unit(jnp.array([10.0, 20.0]), jnp.array([-30.0, 120.0]))


def test_to_unit_of_a_latitude_out_of_range():
    table = np.array([[10.0, -30.0], [20.0, 98.4]])
    with pytest.raises(ValueError, match=r"drop them: table = table\[np\.abs"):
        datasets.to_unit(table[:, 0], table[:, 1])
    # What the error says to do.
    table = table[np.abs(table[:, 1]) <= 90]
    assert datasets.to_unit(table[:, 0], table[:, 1]).shape == (1, 3)


def test_to_unit_takes_longitudes_from_0_to_360():
    west = datasets.to_unit([-170, 10], [20, 20])
    east = datasets.to_unit(np.array([190.0, 370.0]), np.array([20.0, 20.0]))
    np.testing.assert_allclose(west, east, atol=1e-6)


_CSV = "lon,lat,name\n10.0,50.0,a\n,51.0,b\n12.0,52.0,c\n"


def test_to_unit_of_a_table_with_a_header_and_gaps(tmp_path):
    file = tmp_path / "places.csv"
    file.write_text(_CSV)
    text = np.loadtxt(file, delimiter=",", dtype=str)
    with pytest.raises(ValueError, match=r"`longitude` to hold numbers.*skiprows=1"):
        datasets.to_unit(text[:, 0], text[:, 1])
    read = {"delimiter": ",", "usecols": (0, 1)}
    table = np.genfromtxt(file, **read)
    with pytest.raises(ValueError, match=r"2 of 4 values.*row 0,.*a header"):
        datasets.to_unit(table[:, 0], table[:, 1])
    table = np.genfromtxt(file, skip_header=1, **read)
    with pytest.raises(
        ValueError, match=r"1 of 3 values.*row 1,.*0 in the array\. Drop.*np\.isfinite"
    ):
        datasets.to_unit(table[:, 0], table[:, 1])
    # What the errors say to do.
    table = table[np.isfinite(table).all(1)]
    assert datasets.to_unit(table[:, 0], table[:, 1]).shape == (2, 3)
    file.write_text(_CSV.replace("\n,51", "\n11,51"))
    table = np.loadtxt(file, delimiter=",", skiprows=1, usecols=(0, 1))
    assert datasets.to_unit(table[:, 0], table[:, 1]).shape == (3, 3)


def test_to_unit_of_different_shapes():
    with pytest.raises(ValueError, match=r"of one shape, got \(2,\) and \(3,\)"):
        datasets.to_unit(jnp.zeros(2), jnp.zeros(3))


# What is embedded


def test_populated_places():
    x = datasets.populated_places()
    assert x.shape == (24323, 3)
    assert x.dtype == jnp.float32
    _check.check_points(Sphere(2), x)
    # Reykjavik, Wellington and Quito are there, each within the size of a town; at
    # 48.9 S, 123.4 W is the point of the ocean that is farthest from land.
    assert _km(-21.895, 64.135, x) < 10
    assert _km(174.776, -41.287, x) < 10
    assert _km(-78.525, -0.230, x) < 10
    assert _km(-123.4, -48.9, x) > 2000
    assert len(datasets.distinct(x)) == 24321


def test_populated_places_x64():
    with jax.enable_x64(True):
        x = datasets.populated_places()
        assert x.dtype == jnp.float64
        # Exact in thousandths of a degree, but for the rounding of the conversions.
        thousandths = 1000 * np.stack(datasets.to_degrees(x))
        np.testing.assert_allclose(thousandths, np.rint(thousandths), atol=1e-8)


def test_populations():
    people = datasets.populations()
    assert people.dtype == jnp.int32
    assert int(people.min()) == 15_000
    # What the documentation says.
    assert int(people.max()) == 22_315_474
    assert int(jnp.median(people)) == 35_516
    # In the order of the places: the five most populous are where these cities are, to
    # the size of a city.
    places = datasets.populated_places()
    cities = [
        (121.47, 31.23),  # Shanghai
        (28.98, 41.01),  # Istanbul
        (-58.38, -34.60),  # Buenos Aires
        (72.88, 19.08),  # Mumbai
        (-99.13, 19.43),  # Mexico City
    ]
    largest = np.argsort(-np.asarray(people))[:5]
    found = np.column_stack(datasets.to_degrees(places[largest]))
    np.testing.assert_allclose(found, cities, atol=0.1)
    # The pair, as the documentation has it.
    pair = places, jnp.log(people)
    parts = datasets.random_split(jr.key(0), pair)
    rows = np.concatenate([np.column_stack(part) for part in parts])
    np.testing.assert_array_equal(_rows(rows), _rows(np.column_stack(pair)))


def test_coastlines():
    rings = datasets.coastlines()
    assert len(rings) == 126
    assert sum(len(ring) for ring in rings) == 5123
    for ring in rings:
        np.testing.assert_array_equal(ring[0], ring[-1])
    x = jnp.concatenate(rings)
    _check.check_points(Sphere(2), x)
    # Cape Agulhas, Gibraltar and North Cape are on the coast, and the middle of the
    # Sahara, of Siberia and of the Pacific are not. The scale leaves out 50 km.
    assert _km(20.0, -34.83, x) < 50
    assert _km(-5.35, 36.14, x) < 50
    assert _km(25.78, 71.17, x) < 50
    assert _km(10.0, 23.0, x) > 900
    assert _km(100.0, 60.0, x) > 900
    assert _km(-123.4, -48.9, x) > 2000


def test_coastlines_have_no_seam():
    # A ring that crosses the date line goes on there: no side of it runs along the
    # meridian, as the sides of polygons that were cut in two would. Wrangel Island,
    # under 100 km long, is cut in the source.
    for ring in map(np.asarray, datasets.coastlines()):
        longitude = np.rad2deg(np.arctan2(ring[:, 1], ring[:, 0]))
        at_seam = np.abs(longitude) > 179.999
        side = np.linalg.norm(np.diff(ring, axis=0), axis=1)
        assert np.all(_RADIUS * side[at_seam[1:] & at_seam[:-1]] < 100)


# The earth files


@needs_earth_files
@pytest.mark.parametrize(
    "load, rows, different",
    [
        (datasets.volcano, 827, 267),
        (datasets.earthquake, 6120, 5447),
        (datasets.flood, 4875, 4861),
        (datasets.fire, 12809, 12802),
    ],
)
def test_earth_files(load, rows, different):
    x = _check.check_points(Sphere(2), load())
    assert x.shape == (rows, 3)
    assert len(datasets.distinct(x)) == different


@needs_earth_files
def test_earth_orientation():
    # Most earthquakes are near a coast of the Pacific or the Mediterranean, none is
    # near the North Pole; and Mount Etna erupts.
    assert _km(14.999, 37.748, datasets.volcano()) < 10
    assert jnp.max(datasets.volcano()[:, 2]) < np.sin(np.deg2rad(75))


def test_earth_file_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("RGEN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"RGEN_DATA names .* no flood\.csv"):
        datasets.flood()


def test_earth_file_altered(tmp_path, monkeypatch):
    monkeypatch.setenv("RGEN_DATA", str(tmp_path))
    (tmp_path / "flood.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"flood\.csv to have the SHA-256 ffb1e318"):
        datasets.flood()


_TEXT = b"# where from\nlat,long\n0,90\n90,0\n"
_FILE = ("fake.csv", 2, hashlib.sha256(_TEXT).hexdigest())


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on this machine that has `fake.csv`, and an empty cache."""
    pytest.importorskip("pooch")
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "fake.csv").write_bytes(_TEXT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), ft.partial(Handler, directory=folder)
    ) as running:
        url = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setattr(_earth, "_URL", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("RGEN_DATA", raising=False)
        threading.Thread(target=running.serve_forever).start()
        yield folder
        running.shutdown()


def test_download(server):
    expected = [[0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(_earth._load(*_FILE), expected, atol=1e-7)
    # From the cache, the second time.
    (server / "fake.csv").unlink()
    np.testing.assert_allclose(_earth._load(*_FILE), expected, atol=1e-7)


@pytest.mark.parametrize("served", [_TEXT + b"1,1\n", _TEXT[:-4], b""])
def test_download_altered(served, server, tmp_path):
    (server / "fake.csv").write_bytes(served)
    with pytest.raises(FileNotFoundError, match=r"could not download fake\.csv.*hash"):
        _earth._load(*_FILE)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_connection_that_breaks(server, tmp_path, monkeypatch):
    def half(self, source, outputfile):
        outputfile.write(source.read()[:10])

    with monkeypatch.context() as context:
        context.setattr(http.server.SimpleHTTPRequestHandler, "copyfile", half)
        with pytest.raises(FileNotFoundError, match=r"could not download fake\.csv"):
            _earth._load(*_FILE)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    # Once the connection works, the file is there.
    assert len(_earth._load(*_FILE)) == 2


def test_download_missing(server):
    (server / "fake.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)404.*set RGEN_DATA to that"):
        _earth._load(*_FILE)


def test_download_without_pooch(monkeypatch):
    monkeypatch.delenv("RGEN_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"rgen-manifold\[data\]"):
        datasets.fire()


# Side chains


def test_lysine():
    angles, chains = datasets.lysine()
    assert angles.shape == (34860, 6)
    assert jnp.max(jnp.abs(angles)) <= jnp.pi
    # Rounded to 0.01 degree, from which float32 is off by 1e-5 degree.
    hundredths = 100 * np.rad2deg(np.asarray(angles, float))
    np.testing.assert_allclose(hundredths, np.rint(hundredths), atol=3e-3)
    # The first residue of the source: 1a2p B 39.
    first = [-98.99, -14.67, 287.66 - 360, 166.77, 93.75, 179.45]
    np.testing.assert_allclose(np.rad2deg(angles[0]), first, atol=1e-4)
    assert len(np.unique(chains)) == 6598
    np.testing.assert_array_equal(np.sort(chains), chains)
    # Helices have phi and psi near -63 and -42 degrees.
    helix = np.linalg.norm(np.rad2deg(angles[:, :2]) - np.array([-63, -42]), axis=1)
    assert np.mean(helix < 20) > 0.3


def test_side_chains_are_downloaded(server, monkeypatch):
    rows = [
        "1a2p B 35 HIS B<9 (1.50A MP=1.09),-66.217,131.012,175.935,249.1,114,0.1",
        "1a2p B 7A HIS B<9 (1.50A MP=1.09),70.000,30.000,316.0,104.852,114,0.1",
        "1a2z A 7 HIS B<9 (1.50A MP=1.09),-180.000,180.000,0.0,180.0,114,0.1",
    ]
    text = "\n".join(rows).encode()
    (server / "fake.csv").write_bytes(text)
    monkeypatch.setattr(_side_chains, "_URL", _earth._URL)
    sha256 = hashlib.sha256(text).hexdigest()
    angles, chains = _side_chains._load("fake.csv", 4, sha256)
    expected = [[-66.217, 131.012, 175.935, -110.9], [70, 30, -44, 104.852]]
    np.testing.assert_allclose(np.rad2deg(angles[:2]), expected, rtol=1e-5)
    np.testing.assert_allclose(np.abs(np.rad2deg(angles[2])), [180, 180, 0, 180])
    np.testing.assert_array_equal(chains, [0, 0, 1])


@pytest.mark.parametrize(
    "load, name",
    [
        (datasets.cysteine, "cys"),
        (datasets.glutamine, "gln"),
        (datasets.histidine, "his"),
        (datasets.methionine, "met"),
        (datasets.tryptophan, "trp"),
    ],
)
def test_side_chains_missing(load, name, tmp_path, monkeypatch):
    monkeypatch.setenv("RGEN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"no rota8000-{name}\.csv"):
        load()


# Splits


def test_random_split():
    x = _uniform(205)
    parts = datasets.random_split(jr.key(1), x)
    # The cuts are at 0.8 * 205 = 164 and 0.9 * 205 = 184.5, rounded to even.
    assert [len(part) for part in parts] == [164, 20, 21]
    np.testing.assert_array_equal(_rows(jnp.concatenate(parts)), _rows(x))
    again = datasets.random_split(jr.key(1), x)
    np.testing.assert_array_equal(parts[0], again[0])
    other = datasets.random_split(jr.key(2), x)
    assert not jnp.array_equal(parts[0], other[0])


def test_random_split_of_matrices():
    x = jr.normal(jr.key(0), (10, 3, 3))
    train, test = datasets.random_split(jr.key(1), x, (0.5, 0.5))
    assert train.shape == test.shape == (5, 3, 3)


def test_points_and_labels():
    x, labels = np.asarray(_uniform(20)), np.arange(20)
    parts = datasets.random_split(jr.key(1), (x, labels), (0.5, 0.5))
    assert [part[1].shape for part in parts] == [(10,), (10,)]
    batch = datasets.minibatch(jr.key(2), {"x": x, "labels": labels}, 7)
    for rows, which in (*parts, (batch["x"], batch["labels"])):
        np.testing.assert_array_equal(rows, x[np.asarray(which)])
        assert which.dtype == jnp.int32
    # The same rows as of the points alone.
    alone = datasets.minibatch(jr.key(2), x, 7)
    np.testing.assert_array_equal(batch["x"], alone)
    for split in (datasets.random_split, lambda *a: datasets.minibatch(*a, 3)):
        with pytest.raises(ValueError, match="`x` to have a leading axis of one"):
            split(jr.key(0), (x, labels[:5]))


@pytest.mark.parametrize("split", [datasets.random_split, datasets.cell_split])
@pytest.mark.parametrize("fractions", [(0.8, 0.1), (1.1, -0.1), (1.0, 0.0), ()])
def test_fractions(split, fractions):
    with pytest.raises(ValueError, match="`fractions` to be positive and to sum to 1"):
        split(jr.key(0), _uniform(50), fractions=fractions)


def test_split_leaves_a_part_empty():
    with pytest.raises(ValueError, match="4 rows"):
        datasets.random_split(jr.key(0), _uniform(4))
    with pytest.raises(ValueError, match=r"1 cells of 2\.0 degrees"):
        datasets.cell_split(jr.key(0), jnp.tile(_uniform(1), (50, 1)))


def test_group_split():
    x = np.asarray(_uniform(300))
    for names in (np.arange(300) % 40, np.array([f"1a{k % 40}" for k in range(300)])):
        rows = np.arange(300)
        parts = datasets.group_split(jr.key(0), (x, rows), names, (0.5, 0.25, 0.25))
        kept = [np.asarray(part[1]) for part in parts]
        np.testing.assert_array_equal(np.sort(np.concatenate(kept)), rows)
        for points, part in parts:
            np.testing.assert_array_equal(points, x[np.asarray(part)])
        sets = [set(names[part]) for part in kept]
        assert [len(each) for each in sets] == [20, 10, 10]
        assert len(set.union(*sets)) == 40
    other = datasets.group_split(jr.key(1), x, names)
    assert not np.array_equal(other[0][:50], parts[0][0][:50])


def test_group_split_refuses():
    x = _uniform(20)
    with pytest.raises(ValueError, match=r"`groups` to have shape \(20,.*\(20, 1\)"):
        datasets.group_split(jr.key(0), x, np.zeros((20, 1)))
    named = np.ravel(np.arange(20.0)[:, None])
    assert len(datasets.group_split(jr.key(0), x, named)) == 3
    with pytest.raises(ValueError, match="row 3 is NaN"):
        datasets.group_split(jr.key(0), x, np.where(named == 3, np.nan, named))
    with pytest.raises(ValueError, match="its 2 groups cut at"):
        datasets.group_split(jr.key(0), x, named % 2)


def test_distinct():
    # Equal, and equal to 0.001 degree, also across the date line; the others are not.
    longitude = jnp.array([10.0, 10.0, 10.0001, 10.002, 180.0, -180.0])
    x = datasets.to_unit(longitude, jnp.array([20.0] * 6))
    np.testing.assert_array_equal(datasets.distinct(x), x[np.array([0, 3, 4])])


def test_distinct_at_the_poles():
    # At a pole every longitude is one point, and 1.6 m off it still is within 50 m of
    # the others; 100 m off it is not.
    off = 90 - np.rad2deg(np.array([0, 0, 0.0016, 0.1]) / _RADIUS)
    longitude = jnp.array([0.0, 90.0, -140.0, 20.0])
    x = datasets.to_unit(longitude, jnp.asarray(off, jnp.float32))
    # In float32 a latitude near 90 degrees is rounded to a metre.
    x = jnp.concatenate([x, -x])
    np.testing.assert_array_equal(datasets.distinct(x), x[np.array([0, 3, 4, 7])])


def test_distinct_keeps_rows_by_their_distance():
    # A row 40 m after one that goes is kept, for it is 80 m from the one that stays.
    steps = np.rad2deg(np.array([0, 0.04, 0.08, 0.08]) / _RADIUS)
    with jax.enable_x64(True):
        x = datasets.to_unit(jnp.asarray(steps), jnp.zeros(4))
        np.testing.assert_array_equal(datasets.distinct(x), x[np.array([0, 2])])
        assert len(datasets.distinct(np.asarray(x))) == 2


def test_cells():
    # Enough for 20 points a cell on average, at 10 degrees.
    x = _uniform(10_000)
    cells = _split._cells(x, 10.0)
    longitude, latitude = (np.asarray(a) for a in datasets.to_degrees(x))
    for cell in np.unique(cells):
        inside = cells == cell
        assert np.ptp(latitude[inside]) <= 10
        # On the unit sphere, at the middle of the band.
        middle = np.floor(latitude[inside][0] / 10) * 10 + 5
        width = np.ptp(longitude[inside]) * np.cos(np.deg2rad(middle))
        assert width <= 10
    # The sphere is 41,253 square degrees. Cells are made smaller so as to fill their
    # bands: by one in 36 cos(latitude) at the most, which 18 bands have 1 of.
    assert 413 <= len(np.unique(cells)) <= 413 + 18


def test_cell_split():
    x = _uniform(3000)
    parts = datasets.cell_split(jr.key(0), x, cell=10.0)
    np.testing.assert_array_equal(_rows(jnp.concatenate(parts)), _rows(x))
    every = _split._cells(jnp.concatenate(parts), 10.0)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    cells = [set(part) for part in np.split(every, ends)]
    assert cells[0].isdisjoint(cells[1] | cells[2])
    assert cells[1].isdisjoint(cells[2])
    total = sum(map(len, cells))
    # The cuts are rounded, once at either end of a part.
    for size, fraction in zip(map(len, cells), (0.8, 0.1, 0.1), strict=True):
        assert abs(size - fraction * total) <= 1


@pytest.mark.parametrize("cell", [0.0, -1.0, 91.0, float("nan")])
def test_cell_size(cell):
    with pytest.raises(ValueError, match="`cell` in degrees, above 0"):
        datasets.cell_split(jr.key(0), _uniform(10), cell=cell)


def test_minibatch():
    x = jnp.arange(10.0)[:, None]
    batch = jax.jit(lambda key: datasets.minibatch(key, x, 10)[:, 0])
    rows = np.asarray(jax.vmap(batch)(jr.split(jr.key(0), 1000))).ravel()
    counts = np.bincount(rows.astype(int), minlength=10)
    # 10,000 choices of 10 rows. The 99.9 % point of chi-squared with 9 degrees of
    # freedom is 27.9.
    assert np.sum((counts - 1000) ** 2 / 1000) < 27.9


@pytest.mark.parametrize("size", [0, 11])
def test_minibatch_size(size):
    with pytest.raises(ValueError, match=f"`size` to be from 1 to 10.*got {size}"):
        datasets.minibatch(jr.key(0), jnp.ones((10, 3)), size)


# What every door asks of points


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[0], r"of shape \(n, 3\), got shape \(3,\)"),
        (lambda x: x[:, :2], r"of shape \(n, 3\), got shape \(5, 2\)"),
        (lambda x: x[:0], "at least one row"),
        (lambda x: x.astype(complex), "float32 or float64, got complex64"),
        (lambda x: x.astype(jnp.float16), "float32 or float64, got float16"),
        (lambda x: x.at[3, 1].set(jnp.nan), "1 of 5 rows hold a NaN .* row 3: "),
        (lambda x: x.at[2, 0].set(jnp.inf), "1 of 5 rows hold a NaN .* row 2: "),
        (lambda x: x.at[1:].multiply(1.001), "4 of 5 rows are not on it.* row 1: "),
    ],
)
def test_check_points(change, message):
    with pytest.raises(ValueError, match=rf"`x` to hold points of .*{message}"):
        _check.check_points(Sphere(2), change(_uniform(5)))


@pytest.mark.parametrize(
    "door",
    [datasets.distinct, ft.partial(datasets.cell_split, jr.key(0))],
)
def test_doors_check_points(door):
    with pytest.raises(ValueError, match="not on it"):
        door(2 * _uniform(5))


def test_check_points_takes_numpy():
    x = np.asarray(_uniform(5), np.float64)
    assert _check.check_points(Sphere(2), x).dtype == jnp.float32


def test_check_points_traced():
    check = jax.jit(ft.partial(_check.check_points, Sphere(2)))
    assert check(2 * _uniform(5)).shape == (5, 3)
    with pytest.raises(ValueError, match="got shape"):
        check(_uniform(5)[0])
