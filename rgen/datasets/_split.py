import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int

from .._check import check_floating, check_points
from .._manifold import Sphere
from .._typing import Floating, Key, typed
from ._degrees import to_degrees


@typed
def random_split(
    key: Key,
    x: Floating[Array, "n ..."],
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1),
) -> tuple[Floating[Array, "_ ..."], ...]:
    """Shuffles the rows of `x` and deals them out, by default to training, validation
    and test.

    The protocol of De Bortoli et al. (2022). Where rows of `x` are equal, the parts
    have points in common, and a model is rewarded for memory: see
    [`distinct`][rgen.datasets.distinct].

    **Arguments:**

    - `key`: decides which rows go where, and in what order.
    - `x`: points of any manifold, of shape `(n, ...)`.
    - `fractions`: the size of each part, positive, with sum 1.

    **Returns:** one array for each fraction. Together they have every row of `x` once.

    **Raises:** a `ValueError` where the fractions are not positive or do not sum to 1,
    where a part would be empty, and where `x` is empty, not finite, or not in float32
    or float64.
    """
    x = check_floating(x, ("n", *x.shape[1:]), "points")
    order, cuts = _deal(key, len(x), fractions, "rows")
    return tuple(jnp.split(x[order], cuts))


@typed
def distinct(x: Floating[Array, "n 3"]) -> Floating[Array, "_ 3"]:
    """The rows of `x` with a longitude and latitude that no row before has: each is
    rounded to 0.001 degree, about 100 m, and of equal ones the first is kept.

    How many there are depends on the values, so that this does not run inside
    `jax.jit`.

    **Arguments:**

    - `x`: points of the unit sphere, of shape `(n, 3)`.

    **Raises:** the `ValueError`s of [`check_points`][rgen.check_points].
    """
    x = check_points(Sphere(2), x)
    longitude, latitude = _degrees(x)
    thousandths = np.rint(1000 * np.stack([longitude % 360, latitude], axis=1))
    thousandths[:, 0] %= 360_000
    _, first = np.unique(thousandths, axis=0, return_index=True)
    return _take(x, np.sort(first))


@typed
def cell_split(
    key: Key,
    x: Floating[Array, "n 3"],
    cell: float = 2.0,
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1),
) -> tuple[Floating[Array, "_ 3"], ...]:
    r"""Cuts the sphere into cells and deals out whole cells, with all points in them,
    by default to training, validation and test. It asks a model to generalise to where
    it has seen nothing, not to remember.

    The cells are bands of latitude, `cell` degrees high, cut at equal steps of
    longitude, of `cell` degrees divided by the cosine of the latitude at the middle of
    the band; both are shrunk to the nearest size that fills the circle. So all cells
    are about equally large.

    The fractions count the cells that hold a point, not points: sizes of the parts vary
    with the key. Two points of different parts can be as close as they like across a
    border. This does not run inside `jax.jit`.

    **Arguments:**

    - `key`: decides which cells go where. Rows stay in their order.
    - `x`: points of the unit sphere, of shape `(n, 3)`. Make them
        [`distinct`][rgen.datasets.distinct] first.
    - `cell`: the size of a cell in degrees, above 0 and up to 90.
    - `fractions`: the share of each part in the cells, positive, with sum 1.

    **Returns:** one array for each fraction. Together they have every row of `x` once.

    **Raises:** a `ValueError` where `cell` or `fractions` are not as above, where a
    part would be empty, and those of [`check_points`][rgen.check_points].
    """
    if not 0 < cell <= 90:
        raise ValueError(f"expected `cell` in degrees, above 0, up to 90, got {cell}.")
    x = check_points(Sphere(2), x)
    occupied, index = np.unique(_cells(x, cell), return_inverse=True)
    order, cuts = _deal(key, len(occupied), fractions, f"cells of {cell} degrees")
    parts = np.split(np.asarray(order), cuts)
    return tuple(_take(x, np.isin(index, part)) for part in parts)


@typed
def minibatch(
    key: Key, x: Floating[Array, "n ..."], size: int
) -> Floating[Array, "{size} ..."]:
    """`size` rows of `x`, each drawn uniformly, independently of the others.

    A pure function of the key, so that it runs inside a jitted training step, and a run
    resumes from its key alone: there is no epoch to keep track of. Rows are drawn with
    replacement, since drawing without sorts all `n` of them at each step, which takes
    longer than many a step itself. The gradient of a mean loss is unbiased either way,
    and a row drawn twice gets two times and two noises.

    **Arguments:**

    - `key`: decides which rows.
    - `x`: the training data, of shape `(n, ...)`.
    - `size`: the number of rows, from 1 to `n`.

    **Raises:** a `ValueError` where `size` is not in that range.
    """
    if not 1 <= size <= len(x):
        raise ValueError(
            f"expected `size` to be from 1 to {len(x)}, the number of rows of `x`, got "
            f"{size}. Take a smaller batch, or draw several."
        )
    return x[jr.randint(key, (size,), 0, len(x))]


def _deal(
    key: Key, n: int, fractions: tuple[float, ...], what: str
) -> tuple[Int[Array, " {n}"], list[int]]:
    """The integers below `n`, shuffled, and where to cut them."""
    if min(fractions, default=0) <= 0 or not math.isclose(sum(fractions), 1):
        raise ValueError(
            "expected `fractions` to be positive and to sum to 1, got "
            f"{fractions}, with sum {sum(fractions)}."
        )
    cuts = np.rint(np.cumsum(fractions) * n).astype(int)
    if np.diff(cuts, prepend=0).min() == 0:
        raise ValueError(
            f"expected `x` to fill every part of the split, but its {n} {what} cut at "
            f"the `fractions` {fractions} leave one empty. Split fewer ways, or take "
            "more data."
        )
    return jr.permutation(key, n), cuts[:-1].tolist()


def _take(x: Floating[Array, "n 3"], rows: np.ndarray) -> Floating[Array, "_ 3"]:
    """`x[rows]`, for which JAX would compile anew for every number of rows."""
    return jnp.asarray(np.asarray(x)[rows])


def _degrees(x: Floating[Array, "n 3"]) -> tuple[np.ndarray, np.ndarray]:
    longitude, latitude = to_degrees(x)
    return np.asarray(longitude, float), np.asarray(latitude, float)


def _cells(x: Floating[Array, "n 3"], cell: float) -> np.ndarray:
    """A number for each point, the same for those in one cell."""
    longitude, latitude = _degrees(x)
    bands = math.ceil(180 / cell)
    band = np.minimum((latitude + 90) * bands / 180, bands - 1).astype(int)
    middle = np.deg2rad((band + 0.5) * 180 / bands - 90)
    columns = np.ceil(360 * np.cos(middle) / cell)
    column = ((longitude + 180) * columns / 360).astype(int) % columns.astype(int)
    # A band has fewer columns than 720 / cell.
    return band * math.ceil(720 / cell) + column
