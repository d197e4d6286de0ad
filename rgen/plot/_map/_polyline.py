from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._typing import Floating
from .._projection import AbstractProjection
from .._projection._batch import forward, over_points


# The longest step between points of a line in their arrays, in units of the projection:
# half a degree where the unit is a radian.
_STEP = np.deg2rad(0.5)
# For points that are far from each other in their arrays, as those of a path may be.
_MOST_PIECES = 360


def polyline(
    projection: AbstractProjection, lines: Sequence[Floating[np.ndarray, "_ ..."]]
) -> Float[np.ndarray, "_ 2"]:
    """The lines on the map, as one array with a row of NaN wherever the pen is up:
    between lines, where they are not visible, and where a line leaves the map at one
    edge and comes back at another."""
    x, ends = _refine(projection, lines)
    uv, visible = forward(projection, x)
    uv = np.where(visible[:, None], uv.astype(float), np.nan)
    # No map stretches a step to a tenth of its size.
    jump = np.linalg.norm(np.diff(uv, axis=0), axis=1) > 0.2 * min(projection.semi_axes)
    jump[ends[:-1]] = True
    return np.insert(uv, np.flatnonzero(jump) + 1, np.nan, axis=0)


def _refine(
    projection: AbstractProjection, lines: Sequence[Floating[np.ndarray, "_ ..."]]
) -> tuple[Floating[np.ndarray, "n ..."], np.ndarray]:
    """The points of all lines, with more in between so that no step is too long, and
    the rows of the last points of the lines."""
    x = np.concatenate(lines)
    last = np.cumsum([len(line) for line in lines]) - 1
    step = np.linalg.norm(np.diff(x, axis=0).reshape(len(x) - 1, -1), axis=1)
    pieces = np.ceil(step / (projection.unit * _STEP))
    pieces = np.clip(pieces, 1, _MOST_PIECES).astype(int)
    # From line to line there is nothing to draw.
    pieces[last[:-1]] = 1
    start = np.repeat(np.arange(len(pieces)), pieces)
    first = np.cumsum(pieces) - pieces
    share = (np.arange(len(start)) - first[start]) / pieces[start]
    dtype = jnp.result_type(float)
    x, share = x.astype(dtype), share.astype(dtype)
    fine = over_points(projection.between, x[start], x[start + 1], share)
    # From line to line, and at the points themselves, nothing is rounded.
    fine[share == 0] = x[start[share == 0]]
    rows = np.append(first, len(start))
    return np.concatenate([fine, x[-1:]]), rows[last]
