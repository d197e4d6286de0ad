import csv
import importlib.resources
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .._typing import Floating
from ._download import File, fetch


_URL = (
    "https://raw.githubusercontent.com/rlabduke/reference_data/"
    "cbe300663a2bb55015cf9e9978c720cb12dbf52f/"
    "Top8000/Top8000_filtered_residues_rotarama/srcdata/"
)


class SideChains(NamedTuple):
    """The torsion angles of one kind of residue, and which protein chain each is of."""

    angles: Floating[Array, "n d"]
    r"""Points of the torus $T^d$, in radians: $\phi, \psi, \chi_1, \dots,
    \chi_{d - 2}$."""

    chains: Int[Array, " n"]
    """The number of the chain, from 0. For
    [`group_split`][rgen.datasets.group_split]: residues of one chain are alike."""


def lysine() -> SideChains:
    r"""The torsion angles $(\phi, \psi, \chi_1, \chi_2, \chi_3, \chi_4)$ of 34,860
    lysines of well-resolved protein structures: points of the torus $T^6$.

    Embedded in the package, so that it needs no network. Angles are rounded to 0.01
    degree; the source has 0.001.

    Source: the Top8000 data of the Richardson laboratory
    ([reference_data](https://github.com/rlabduke/reference_data), CC BY 4.0), in which
    uncertain residues are left out; see ATTRIBUTION.md beside the file.
    """
    file = importlib.resources.files("rgen.datasets") / "_data" / "lysine.npz"
    with file.open("rb") as stream, np.load(stream) as table:
        return _side_chains(table["hundredths"] / 100, table["chains"])


def glutamine() -> SideChains:
    r"""The torsion angles $(\phi, \psi, \chi_1, \chi_2, \chi_3)$ of the glutamines of
    Top8000: points of the torus $T^5$.

    The file comes from where that of [`lysine`][rgen.datasets.lysine] comes from. It is
    downloaded and verified like that of [`volcano`][rgen.datasets.volcano].
    """
    sha256 = "778d9fd1e3e8ba01eb97bc50f0976395561664422618b13cca0a05a201242aaa"
    return _load("rota8000-gln.csv", 5, sha256)


def histidine() -> SideChains:
    r"""The torsion angles $(\phi, \psi, \chi_1, \chi_2)$ of the histidines of Top8000:
    points of the torus $T^4$. See [`glutamine`][rgen.datasets.glutamine]."""
    sha256 = "6c189127a8383bc10fc1fd78c8c03e66250b8a715d24b192c00893302488d997"
    return _load("rota8000-his.csv", 4, sha256)


def methionine() -> SideChains:
    r"""The torsion angles $(\phi, \psi, \chi_1, \chi_2, \chi_3)$ of the methionines of
    Top8000: points of the torus $T^5$. See [`glutamine`][rgen.datasets.glutamine]."""
    sha256 = "62347f09079daf2008624dfbe396dad2847dd9ada8778096a21913f7eefcb31f"
    return _load("rota8000-met.csv", 5, sha256)


def tryptophan() -> SideChains:
    r"""The torsion angles $(\phi, \psi, \chi_1, \chi_2)$ of the tryptophans of Top8000:
    points of the torus $T^4$. See [`glutamine`][rgen.datasets.glutamine]."""
    sha256 = "9e4d1b46476b244c961a1cab2ff01cc22be0fe5baf96cec735b0d1115e79965b"
    return _load("rota8000-trp.csv", 4, sha256)


def cysteine() -> SideChains:
    r"""The torsion angles $(\phi, \psi, \chi_1)$ of the cysteines of Top8000: points of
    the torus $T^3$. See [`glutamine`][rgen.datasets.glutamine]."""
    sha256 = "c590f9380042894297854c19c59ed051a69a560ee2560b90087de743699bf71c"
    return _load("rota8000-cys.csv", 3, sha256)


def _load(name: str, dim: int, sha256: str) -> SideChains:
    return _side_chains(*read_top8000(fetch(File(name, _URL + name, sha256)), dim))


def read_top8000(path: pathlib.Path, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `dim` angles of each row of a file of Top8000, in degrees, and the
    number of its chain, in the order of their first rows.

    A row is `1a2p B 39 LYS B<15.7 wc<0.4 (1.50A MP=1.09),-98.988,-14.670,...`: the
    structure, its chain and the residue, and then the angles.
    """
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    angles = np.array([row[1 : dim + 1] for row in rows], float)
    names = [tuple(row[0].split()[:2]) for row in rows]
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return angles, np.array([number[name] for name in names])


def _side_chains(degrees: np.ndarray, chains: np.ndarray) -> SideChains:
    turned = degrees - 360 * np.round(degrees / 360)
    angles = jnp.asarray(np.deg2rad(turned), jnp.result_type(float))
    return SideChains(angles, jnp.asarray(chains, jnp.int32))
