import dataclasses
from functools import partial

import jax

from .._schedule import ConstantSchedule
from .._solver._walk import geodesic_walk
from .._term import forward_sde
from .._typing import Key, Point, Scalar
from ._base import AbstractProcess


def walk(process: AbstractProcess, x0: Point, v: Scalar, steps: int, key: Key) -> Point:
    """A draw of the process after the variance `v`, by a geodesic random walk of
    `steps` equal steps. No gradient flows through it."""
    # At unit speed time is variance.
    unit = dataclasses.replace(process, schedule=ConstantSchedule())
    x0, v = jax.lax.stop_gradient((x0, v))
    terms = partial(forward_sde, unit)
    return geodesic_walk(terms, process.manifold, x0, 0, v, steps, key)
