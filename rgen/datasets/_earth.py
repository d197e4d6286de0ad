import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._typing import Floating
from ._degrees import to_unit
from ._download import File, fetch


_URL = "https://raw.githubusercontent.com/oxcsml/riemannian-score-sde/main/data/"


def volcano() -> Floating[Array, "827 3"]:
    """Where 827 volcanic eruptions were, as unit vectors.

    Only 267 rows are distinct: most of a random test split is in the training split
    too. See [`distinct`][rgen.datasets.distinct] and
    [`cell_split`][rgen.datasets.cell_split].

    The file `volerup.csv` comes from the
    [repository](https://github.com/oxcsml/riemannian-score-sde) of De Bortoli et al.,
    *Riemannian Score-Based Generative Modelling* (NeurIPS 2022), which took it from the
    NOAA National Geophysical Data Center. It is downloaded at the first call, through
    Pooch (`pip install 'rgen-manifold[data]'`), and kept in Pooch's cache; or read from
    the folder that the environment variable `RGEN_DATA` names, without the network.
    Either way its SHA-256 is checked.

    **Raises:** a `FileNotFoundError` where there is no file to be had, a `ValueError`
    where the one in `RGEN_DATA` has another SHA-256, and an `ImportError` where it has
    to be downloaded and Pooch is not installed.
    """
    sha256 = "f7bbaf32a412f5fe82350f48e0c55100be260803969c16557343f687fd0593fc"
    return _load("volerup.csv", 2, sha256)


def earthquake() -> Floating[Array, "6120 3"]:
    """Where 6,120 earthquakes were, as unit vectors.

    The file `quakes_all.csv`, after the NOAA National Geophysical Data Center, is
    downloaded and verified like that of [`volcano`][rgen.datasets.volcano].
    """
    sha256 = "3e5e1a10fb2faf1899106264289334037d039f00f5265d13dad388a93d8ff2f7"
    return _load("quakes_all.csv", 4, sha256)


def flood() -> Floating[Array, "4875 3"]:
    """Where 4,875 floods were, as unit vectors.

    The file `flood.csv`, after the Dartmouth Flood Observatory, is downloaded and
    verified like that of [`volcano`][rgen.datasets.volcano].
    """
    sha256 = "ffb1e3182c3053afcdeceec4727c262a29da10255d20747c08144da5b0963486"
    return _load("flood.csv", 2, sha256)


def fire() -> Floating[Array, "12809 3"]:
    """Where 12,809 fires were, as unit vectors.

    The file `fire.csv`, after NASA's FIRMS, is downloaded and verified like that of
    [`volcano`][rgen.datasets.volcano].
    """
    sha256 = "c5c6c9490b1d8c58ba9eb78d9e2f82d1c1e62694ca5cff917c54600d3d83f459"
    return _load("fire.csv", 1, sha256)


def _load(name: str, header: int, sha256: str) -> Floating[Array, "n 3"]:
    path = fetch(File(name, _URL + name, sha256))
    table = np.loadtxt(path, delimiter=",", skiprows=header)
    latitude, longitude = jnp.asarray(table).T
    return to_unit(longitude, latitude)
