"""Random lines: a hypersurface in a ball has its area and its uniform distribution by
the points in which they meet it (Cauchy and Crofton; Santaló, *Integral Geometry and
Geometric Probability*, 2004, section 14.3)."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._numerics import log_sphere_volume
from .._rejection import rejection_sample
from .._typing import Key, Point, Scalar


# Pieces of a line that are searched for a change of sign, and lines for the area.
_PIECES = 128
_LINES = 2**16


def uniform_on_hypersurface(surface: Any, key: Key) -> Point:
    """A sample of the uniform distribution, near the surface to a rounding error: of
    the points in which a random line meets the surface, that in one of
    `surface.crossings` places, again until there is a point in that place."""
    size = math.prod(surface.point_shape)

    def propose(key: Key) -> tuple[Array, Scalar]:
        keys = jr.split(key, 4)
        along, across = jr.normal(keys[0], (size,)), jr.normal(keys[1], (size,))
        points = _line(surface, along, across, jr.uniform(keys[2]))
        meets = _changes(surface, points)
        place = jr.randint(keys[3], (), 0, surface.crossings)
        index = jnp.argmax(jnp.cumsum(meets) == place + 1)
        ends = jnp.stack([points[index], points[index + 1]])
        return ends, jnp.where(jnp.sum(meets) > place, 0, -jnp.inf).astype(ends.dtype)

    return _bisect(surface, *rejection_sample(propose, key))


def log_area(surface: Any) -> float:
    """The logarithm of the area: a line that meets a ball meets its boundary twice, and
    what is in it in proportion to the areas."""
    from scipy.stats import norm, qmc

    size = math.prod(surface.point_shape)
    numbers = qmc.Sobol(2 * size + 1, seed=0).random(_LINES)  # pyright: ignore
    normals = norm.ppf(np.clip(numbers[:, :-1], 1e-12, None))

    def count(line: tuple[Array, Array]) -> tuple[Array, ...]:
        normal, uniform = line
        points = _line(surface, normal[:size], normal[size:], uniform)
        values = jax.vmap(surface._constraint)(points)[:, 0]
        seen = jnp.sum(_signs_change(values))
        crosses = (values[0] > 0) != (values[-1] > 0)
        return seen + 2 * jnp.sum(_grazes(values)), seen, crosses

    with jax.ensure_compile_time_eval():
        lines = jnp.asarray(normals), jnp.asarray(numbers[:, -1])
        found = jax.jit(lambda x: jax.lax.map(count, x, batch_size=1024))(lines)
        counts, seen, crosses = map(np.asarray, found)
    mean, most = float(np.mean(counts)), int(np.max(seen))
    name = type(surface).__name__
    if crosses.any() or most == 0:
        raise ValueError(
            f"{name}: expected a closed surface within `radius` {surface.radius} of "
            "zero, on which `constraint` changes its sign, but a line through that "
            f"ball meets it in {'an odd number of' if most else 'no'} points. Give a "
            "larger `radius`, and an equation whose derivative is not zero."
        )
    if most > surface.crossings:
        raise ValueError(
            f"{name}: expected a line to meet the surface in at most "
            f"{surface.crossings} points, its `crossings`, but one meets it in {most}. "
            f"Define crossings = {most} or more; too many only take longer."
        )
    boundary = log_sphere_volume(size - 1) + (size - 1) * math.log(_reach(surface))
    return math.log(mean / 2) + boundary


def _reach(surface: Any) -> float:
    # A little more than asked for, so that no line ends on the surface.
    return 1.01 * surface.radius


def _line(surface: Any, along: Array, across: Array, uniform: Array) -> Array:
    """Points of a line through the ball, in order, from two normal vectors and a number
    in (0, 1)."""
    size = along.size
    along = along / jnp.linalg.norm(along)
    across = across - jnp.sum(across * along) * along
    offset = uniform ** (1 / (size - 1)) / jnp.linalg.norm(across) * across
    half = jnp.sqrt(jnp.maximum(1 - jnp.sum(offset**2), 0))
    steps = half * jnp.linspace(-1, 1, _PIECES + 1, dtype=along.dtype)
    points = _reach(surface) * (offset + steps[:, None] * along)
    return points.reshape(-1, *surface.point_shape)


def _changes(surface: Any, points: Array) -> Array:
    """Between which points in a row the sign of the constraint changes."""
    return _signs_change(jax.vmap(surface._constraint)(points)[:, 0])


def _signs_change(values: Array) -> Array:
    return (values[1:] > 0) != (values[:-1] > 0)


def _grazes(values: Array) -> Array:
    """Where three values of one sign in a row have a parabola that reaches the other
    sign between them: two roots that no change of sign shows."""
    changes = _signs_change(values)
    left, middle, right = values[:-2], values[1:-1], values[2:]
    bend, slope = left - 2 * middle + right, right - left
    bends = jnp.where(bend == 0, 1, bend)
    lowest = middle - slope**2 / (8 * bends)
    inside = (bend != 0) & (jnp.abs(slope) < jnp.abs(bend))
    across = (lowest > 0) != (middle > 0)
    return ~changes[:-1] & ~changes[1:] & inside & across


def _bisect(surface: Any, low: Point, high: Point) -> Point:
    inside = lambda x: surface._constraint(x)[0] > 0

    def halve(_: Any, ends: tuple[Point, Point]) -> tuple[Point, Point]:
        low, high = ends
        middle = (low + high) / 2
        same = inside(middle) == inside(low)
        return jnp.where(same, middle, low), jnp.where(same, high, middle)

    steps = jnp.finfo(low.dtype).nmant
    return jax.lax.fori_loop(0, steps, halve, (low, high))[0]
