from collections.abc import Callable
from typing import Any

import diffrax
import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._typing import Key, Point
from ._brownian_grid import BrownianGrid
from ._geodesic_random_walk import GeodesicRandomWalk


def geodesic_walk(
    terms: Callable[[diffrax.AbstractPath], diffrax.AbstractTerm],
    manifold: AbstractManifold,
    x: Point,
    t0: Any,
    t1: Any,
    steps: int,
    key: Key,
) -> Point:
    """Where `steps` equal steps of a geodesic random walk lead from `x`, forwards or
    backwards in time. `terms` makes the SDE out of a Brownian path."""
    low, high = jnp.minimum(t0, t1), jnp.maximum(t0, t1)
    path = BrownianGrid(manifold.noise_shape, low, high, steps, key, x.dtype)
    times = jnp.linspace(t0, t1, steps + 1, dtype=x.dtype)
    solution = diffrax.diffeqsolve(
        terms(path),
        GeodesicRandomWalk(manifold),
        times[0],
        times[-1],
        None,
        x,
        stepsize_controller=diffrax.StepTo(times),
        adjoint=diffrax.ForwardMode(),
        max_steps=steps,
        # A walk of fixed steps can't fail, and asking whether it did takes time.
        throw=False,
    )
    assert solution.ys is not None
    return solution.ys[0]
