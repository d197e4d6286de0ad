"""The doors for batches: samples and densities of every distribution."""

import operator
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._check import check_points
from ._cost import Cost, why_not_finished
from ._distribution import AbstractDistribution
from ._errors import leading_axis, warn
from ._sharding import over_automatic_axes, part_of
from ._typing import Floating, Key, typed


# Points that are computed at a time: what bounds the memory.
_CHUNK = 4096
# Numbers of float32 in the widest vector of a CPU.
_LANES = 16


@typed
def sample(
    distribution: AbstractDistribution,
    key: Key,
    n: SupportsIndex,
    *,
    given: Any = None,
    chunk_size: int = _CHUNK,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Floating[Array, "n ..."]:
    """Samples `n` points from a distribution, or a model.

    Each point has a key of its own, the same for every `n`. On one CPU, and outside of
    `jax.jit`, the points are the same to the bit whatever the size of the chunks.
    Compiled once for each size of a chunk and each structure of the distribution: other
    parameters of the same shapes do not trace again.

    **Arguments:**

    - `distribution`: the distribution.
    - `key`: the random key.
    - `n`: the number of points.
    - `given`: for a conditional model, the conditions of the points, each array with a
        leading axis of length `n`. For one condition of all of them sample from
        `model.given(c)`.
    - `chunk_size`: how many points are computed at a time, which bounds the memory; on
        a CPU rounded up to a multiple of 16.
    - `progress`: what the loop over the chunks is wrapped in, such as
        `tqdm.auto.tqdm` for a progress bar. Inside `jax.jit` there is none.

    **Returns:** points of shape `(n, *distribution.manifold.point_shape)`. A
    `RuntimeWarning` says which of them are NaN, if any.
    """
    return sample_and_cost(
        distribution, key, n, given=given, chunk_size=chunk_size, progress=progress
    )[0]


@typed
def sample_and_cost(
    distribution: AbstractDistribution,
    key: Key,
    n: SupportsIndex,
    *,
    given: Any = None,
    chunk_size: int = _CHUNK,
    progress: Callable[[Iterable], Iterable] = iter,
) -> tuple[Floating[Array, "n ..."], Cost]:
    """[`rgen.sample`][], and the [`rgen.Cost`][] of each sample."""
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"sample: expected `n` of at least 1, got {n}.")
    rows = jr.split(key, n), _conditions("sample", given, n)
    in_chunks = partial(_in_chunks, _sample, distribution, chunk_size, progress)
    points, cost = over_automatic_axes(in_chunks, rows)
    _warn("sample", "samples", distribution, points, cost)
    return points, cost


@typed
def log_prob(
    distribution: AbstractDistribution,
    x: Any,
    key: Key | None = None,
    *,
    given: Any = None,
    chunk_size: int = _CHUNK,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Floating[Array, " n"]:
    """The log-density of a distribution, or a model, at each of the points `x`, in nats
    with respect to the Riemannian volume.

    Compiled once for each size of a chunk and each structure of the distribution.

    **Arguments:**

    - `distribution`: the distribution.
    - `x`: points of shape `(n, *distribution.manifold.point_shape)`: an array of JAX or
        NumPy, or nested lists.
    - `key`: a random key, for the estimate of a model that has an
        [`rgen.HutchinsonDivergence`][].
    - `given`: for a conditional model, the conditions of the points, as for
        [`rgen.sample`][]: the result is $\\log p(x_i \\mid c_i)$.
    - `chunk_size`, `progress`: as for [`rgen.sample`][].

    **Returns:** an array of shape `(n,)`. A `RuntimeWarning` says which of its entries
    are NaN, if any: those where a solver did not finish, or a field returned NaN.

    **Raises:** those of [`rgen.check_points`][].
    """
    return log_prob_and_cost(
        distribution, x, key, given=given, chunk_size=chunk_size, progress=progress
    )[0]


@typed
def log_prob_and_cost(
    distribution: AbstractDistribution,
    x: Any,
    key: Key | None = None,
    *,
    given: Any = None,
    chunk_size: int = _CHUNK,
    progress: Callable[[Iterable], Iterable] = iter,
) -> tuple[Floating[Array, " n"], Cost]:
    """[`rgen.log_prob`][], and the [`rgen.Cost`][] of each density."""
    x = check_points(distribution.manifold, x)
    keys = None if key is None else jr.split(key, len(x))
    rows = x, keys, _conditions("log_prob", given, len(x))
    in_chunks = partial(_in_chunks, _log_prob, distribution, chunk_size, progress)
    log_probs, cost = over_automatic_axes(in_chunks, rows)
    _warn("log_prob", "densities", distribution, log_probs, cost)
    return log_probs, cost


def _conditions(where: str, given: Any, n: int) -> Any:
    if given is not None:
        given = jax.tree.map(jnp.asarray, given)
        remedy = "There is one condition for each point."
        leading_axis(where, "given", given, n, remedy)
    return given


def _given(distribution: AbstractDistribution, c: Any) -> AbstractDistribution:
    if c is None:
        return distribution
    if not hasattr(distribution, "given"):
        raise ValueError(
            f"{type(distribution).__name__}: it takes no condition. Leave out `given`, "
            "or take a rgen.ScoreModel, rgen.Flow, rgen.FlowMap or "
            "rgen.ConsistencyModel of a conditional field."
        )
    return distribution.given(c)  # pyright: ignore[reportAttributeAccessIssue]


def _sample(distribution: AbstractDistribution, key: Key, c: Any) -> tuple[Array, Cost]:
    distribution = _given(distribution, c)
    x, cost = distribution.sample_and_cost(key)
    return _of_shape("sample", distribution, x, distribution.manifold.point_shape), cost


def _log_prob(
    distribution: AbstractDistribution, x: Array, key: Key | None, c: Any
) -> tuple[Array, Cost]:
    distribution = _given(distribution, c)
    given = (x,) if key is None else (x, key)
    log_prob, cost = distribution.log_prob_and_cost(*given)
    return _of_shape("log_prob", distribution, log_prob, ()), cost


def _of_shape(
    method: str, distribution: AbstractDistribution, value: Any, shape: tuple[int, ...]
) -> Array:
    if jnp.shape(value) != shape:
        raise ValueError(
            f"{type(distribution).__name__}.{method}: expected it to return an array "
            f"of shape {shape} for one point, got shape {jnp.shape(value)}."
        )
    return jnp.asarray(value)


@eqx.filter_jit
def _vectorised(f: Callable, distribution: AbstractDistribution, rows: Any) -> Any:
    return jax.vmap(lambda row: f(distribution, *row))(rows)


def _chunk(f: Callable, distribution: AbstractDistribution, rows: Any) -> Any:
    n = len(rows[0])
    values = _vectorised(f, distribution, _in_whole_vectors(rows, n))
    return jax.tree.map(lambda a: a[:n], values)


def _in_whole_vectors(rows: Any, n: int) -> Any:
    """Pads the rows of one CPU to a multiple of `_LANES` by repeating the last. The
    remainder of a vectorised loop rounds differently, so that a result would depend on
    the number of those beside it."""
    if n % _LANES == 0 or not all(map(_on_one_cpu, jax.tree.leaves(rows))):
        return rows
    index = np.minimum(np.arange(n + -n % _LANES), n - 1)
    return jax.tree.map(lambda a: a[index], rows)


def _on_one_cpu(x: Any) -> bool:
    if isinstance(x, Tracer):
        return False
    return [device.platform for device in x.devices()] == ["cpu"]


def _in_chunks(
    f: Callable,
    distribution: AbstractDistribution,
    chunk_size: int,
    progress: Callable[[Iterable], Iterable],
    rows: Any,
) -> Any:
    """`f(distribution, *row)` for all rows, `chunk_size` of them at a time."""
    if chunk_size < 1:
        raise ValueError(f"expected `chunk_size` of at least 1, got {chunk_size}.")
    n = len(rows[0])
    if n <= chunk_size:
        return _chunk(f, distribution, rows)
    if isinstance(rows[0], Tracer):
        one = lambda row: f(distribution, *row)
        return jax.lax.map(one, rows, batch_size=chunk_size)
    # A last chunk that is too short computes some rows a second time.
    starts = [min(start, n - chunk_size) for start in range(0, n, chunk_size)]

    def cut(start: int) -> Any:
        return jax.tree.map(lambda a: part_of(a, start, chunk_size), rows)

    parts = [_chunk(f, distribution, cut(start)) for start in progress(starts)]
    last = n - starts[-2] - chunk_size
    parts[-1] = jax.tree.map(lambda a: a[chunk_size - last :], parts[-1])
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def _warn(
    where: str, what: str, distribution: AbstractDistribution, values: Array, cost: Cost
) -> None:
    """Says which values are NaN. An infinite density is a number."""
    if isinstance(values, Tracer) or isinstance(cost.finished, Tracer):
        return
    broken = np.flatnonzero(
        np.isnan(np.asarray(values).reshape(len(values), -1)).any(1)
    )
    if len(broken) == 0:
        return
    first = broken[0]
    unfinished = int(np.sum(~np.asarray(cost.finished)))
    why = why_not_finished(cost.stopped_at[first])
    warn(
        f"{where}: {len(broken)} of {len(values)} {what} of the "
        f"{type(distribution).__name__} are NaN, the first of them row {first}; the "
        f"other rows are right. {unfinished} did not finish. Of row {first}: {why}.",
        RuntimeWarning,
    )
