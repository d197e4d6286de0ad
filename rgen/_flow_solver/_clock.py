"""The noise level as a clock."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._schedule import AbstractSchedule
from .._typing import Scalar


def time_of(terms: Any, t: Scalar) -> Scalar:
    """The time of an ODE at the time `t` of its solver, which Diffrax negates where it
    runs backwards, and the other way round: the control of an ODE is its time."""
    return terms.contr(jnp.zeros_like(t), t)


def noise_level(schedule: AbstractSchedule, t: Scalar) -> Scalar:
    r"""$\sigma = \sqrt v$, with the geometric mean of several variances."""
    return jnp.exp(_log_variance(schedule, t) / 2)


def time_at(schedule: AbstractSchedule, sigma: Scalar) -> Scalar:
    """The time of a noise level: the inverse of `noise_level`."""
    if jax.eval_shape(schedule.variance, sigma).ndim == 0:
        return schedule.time(sigma * sigma)
    return _search(schedule, 2 * jnp.log(sigma))


def pace(schedule: AbstractSchedule, t: Scalar, sigma: Scalar) -> Scalar:
    r"""$\mathrm dt / \mathrm d\sigma$ at the time `t`, whose noise level is `sigma`."""
    return 2 / (sigma * _growth(schedule, t))


def _log_variance(schedule: AbstractSchedule, t: Scalar) -> Scalar:
    return jnp.mean(jnp.log(schedule.variance(t)))


def _growth(schedule: AbstractSchedule, t: Scalar) -> Scalar:
    """The derivative of `_log_variance`."""
    return jnp.mean(schedule.beta(t) / schedule.variance(t))


# They leave a millionth of the way, and its eighth power.
_HALVINGS, _NEWTON_STEPS = 20, 3


def _search(schedule: AbstractSchedule, log_v: Scalar) -> Scalar:
    """The time at which the mean of several log-variances is `log_v`."""

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        early = _log_variance(schedule, middle) < log_v
        return jnp.where(early, middle, low), jnp.where(early, high, middle)

    low, high = (jnp.asarray(t, log_v.dtype) for t in (schedule.t0, schedule.t1))
    t, _ = jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))
    for _ in range(_NEWTON_STEPS):
        t = t + (log_v - _log_variance(schedule, t)) / _growth(schedule, t)
    return t
