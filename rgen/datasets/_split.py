import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Int, PyTree, Shaped

from .._check import check_floating, check_points
from .._errors import leading_axis
from .._manifold import Sphere
from .._sharding import replicated, take_rows
from .._typing import Floating, Key, typed
from ._degrees import to_degrees


# 50 m on the Earth, in radians: on the four earth files, where places are given to 0.01
# or 0.001 degree, anything from 5 m to 80 m keeps the same rows.
_SAME_PLACE = 0.05 / 6371


@typed
def random_split(
    key: Key,
    x: PyTree[ArrayLike],
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1),
) -> tuple[PyTree[Array], ...]:
    """Shuffles the rows of `x` and deals them out, by default to training, validation
    and test.

    The protocol of De Bortoli et al. (2022). Where rows of `x` are equal, the parts
    have points in common, and a model is rewarded for memory: see
    [`distinct`][rgen.datasets.distinct].

    **Arguments:**

    - `key`: decides which rows go where, and in what order.
    - `x`: points of any manifold, of shape `(n, ...)`, or a pytree of arrays whose
        leading axes count the rows, such as points and labels: `(x, labels)`.
    - `fractions`: the size of each part, positive, with sum 1.

    **Returns:** one array, or pytree, for each fraction. Together they have every row
    of `x` once. What is sharded over explicit axes comes back whole on every device.

    **Raises:** a `ValueError` where the fractions are not positive or do not sum to 1,
    where a part would be empty, and where `x` is empty, has arrays of different
    lengths, or numbers that are not finite.
    """
    x, n = _rows("random_split", x)
    x = jax.tree.map(_check_finite, x)
    order, cuts = _deal(key, n, fractions, "rows")
    parts = jax.tree.map(lambda leaf: jnp.split(replicated(leaf)[order], cuts), x)
    outer, inner = jax.tree.structure(x), jax.tree.structure([0] * len(fractions))
    return tuple(jax.tree.transpose(outer, inner, parts))


@typed
def distinct(x: Any) -> Floating[Array, "_ 3"]:
    """The rows of `x` that are farther than 50 m, on the Earth, from all rows that are
    kept before them.

    How many there are depends on the values, so that this does not run inside
    `jax.jit`.

    **Arguments:**

    - `x`: points of the unit sphere, of shape `(n, 3)`.

    **Raises:** the `ValueError`s of [`check_points`][rgen.check_points].
    """
    # Here, for importing it takes longer than importing all of rgen.
    from scipy.spatial import KDTree

    x = check_points(Sphere(2), x)
    rows, first = np.unique(np.asarray(x, float), axis=0, return_index=True)
    order = np.argsort(first)
    rows, first = rows[order], first[order]
    pairs = KDTree(rows).query_pairs(_SAME_PLACE, output_type="ndarray")
    kept = np.ones(len(rows), bool)
    # The later row of a pair goes, unless the earlier one has gone before.
    for earlier, later in pairs[np.argsort(pairs[:, 1])]:
        kept[later] &= not kept[earlier]
    return _take(x, first[kept])


@typed
def group_split(
    key: Key,
    x: PyTree[ArrayLike],
    groups: Any,
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1),
) -> tuple[PyTree[Array], ...]:
    """Deals out whole groups of rows, by default to training, validation and test, so
    that rows that belong together, such as the residues of one protein chain or the
    events of one day, are never in two parts.

    The fractions count the groups, not the rows: sizes of the parts vary with the key.
    This does not run inside `jax.jit`.

    **Arguments:**

    - `key`: decides which groups go where. Rows stay in their order.
    - `x`: points of any manifold, of shape `(n, ...)`, or a pytree of arrays whose
        leading axes count the rows.
    - `groups`: the group of each row, of shape `(n,)`: whole numbers or strings.
    - `fractions`: the share of each part in the groups, positive, with sum 1.

    **Returns:** one array, or pytree, for each fraction. Together they have every row
    of `x` once.

    **Raises:** a `ValueError` where the fractions are not positive or do not sum to 1,
    where a part would be empty, where `groups` has another length than `x` or holds a
    NaN, and where `x` is empty, has arrays of different lengths, or numbers that are
    not finite.
    """
    x, n = _rows("group_split", x)
    x = jax.tree.map(_check_finite, x)
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(
            f"group_split: expected `groups` to have shape ({n},), a group for each "
            f"row of `x`, got shape {groups.shape}. Look at how it was made: "
            "numpy.ravel(groups) removes axes of length 1."
        )
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        raise ValueError(
            "group_split: expected `groups` to name a group for each row, but row "
            f"{np.flatnonzero(np.isnan(groups))[0]} is NaN. Drop these rows, or give "
            "each a group of its own."
        )
    return _deal_groups(key, x, groups, fractions, "groups")


@typed
def cell_split(
    key: Key,
    x: Any,
    cell: float = 2.0,
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1),
) -> tuple[Floating[Array, "_ 3"], ...]:
    r"""Cuts the sphere into cells and deals out whole cells, with all points in them,
    by default to training, validation and test: a
    [`group_split`][rgen.datasets.group_split] by cells. It asks a model to generalise
    to where it has seen nothing, not to remember.

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
    what = f"cells of {cell} degrees"
    return _deal_groups(key, x, _cells(x, cell), fractions, what)


@typed
def minibatch(key: Key, x: PyTree[ArrayLike], size: int) -> PyTree[Array]:
    """`size` random rows of `x`, each uniform and independent of the others.

    A pure function of the key, so that it runs inside a jitted training step, and a run
    resumes from its key alone: there is no epoch to keep track of. Rows are sampled
    with replacement, since sampling without sorts all `n` of them at each step, which
    takes longer than many a step itself. The gradient of a mean loss is unbiased either
    way, and a row that comes twice gets two times and two noises.

    **Arguments:**

    - `key`: decides which rows.
    - `x`: the training data, of shape `(n, ...)`, or a pytree of arrays whose leading
        axes count the rows, such as points and labels: `(x, labels)`.
    - `size`: the number of rows, from 1 to `n`.

    **Returns:** `x` with these rows, sharded as `x` is.

    **Raises:** a `ValueError` where `size` is not in that range, does not divide evenly
    over the devices that `x` is sharded over, or the arrays of `x` have different
    lengths.
    """
    x, n = _rows("minibatch", x)
    if not 1 <= size <= n:
        raise ValueError(
            f"expected `size` to be from 1 to {n}, the number of rows of `x`, got "
            f"{size}. Take a smaller batch, or several."
        )
    rows = jr.randint(key, (size,), 0, n)
    return jax.tree.map(lambda leaf: take_rows(leaf, rows), x)


def _rows(where: str, x: PyTree[ArrayLike]) -> tuple[PyTree[Array], int]:
    """The pytree as JAX arrays, and the number of their rows."""
    x = jax.tree.map(jnp.asarray, x)
    remedy = "It counts the rows, as many in each array: points and their labels."
    return x, leading_axis(where, "x", x, None, remedy)


def _check_finite(x: Shaped[Array, "n ..."]) -> Shaped[Array, "n ..."]:
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return check_floating(x, ("n", *x.shape[1:]), "points")
    return x


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


def _deal_groups(
    key: Key,
    x: PyTree[Array],
    groups: np.ndarray,
    fractions: tuple[float, ...],
    what: str,
) -> tuple[PyTree[Array], ...]:
    names, index = np.unique(groups, return_inverse=True)
    order, cuts = _deal(key, len(names), fractions, what)
    rows = [np.isin(index, part) for part in np.split(np.asarray(order), cuts)]
    return tuple(jax.tree.map(partial(_take, rows=each), x) for each in rows)


def _take(x: Shaped[Array, "n ..."], rows: np.ndarray) -> Shaped[Array, "_ ..."]:
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
