import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Scalar, typed
from ._base import AbstractSchedule


class LogUniformSchedule(AbstractSchedule):
    r"""Accumulated variance $v(t) = v_{\min}^{1-t}\, v_{\max}^{t}$ for
    $t \in [0, 1]$, so that a uniform time is a log-uniform variance, and every scale of
    the data has the same share of the training and of the steps of a sampler.

    The speed is $\beta(t) = v(t) \log(v_{\max} / v_{\min})$. The data are at
    $t = -\infty$, and have noise of the variance `v_min` at time 0.

    **Arguments:**

    - `v_min`: the variance at time 0: the noise level of samples and densities.
    - `v_max`: the variance at time 1, large enough for the process to have forgotten
        the data. By default the process that takes the schedule sets it: to ten over
        the [`rate`][rgen.AbstractProcess.rate] at which it forgets, so that 0.7 % is
        left of what it forgets last.
    """

    v_min: float = eqx.field(static=True)
    v_max: float | None = eqx.field(static=True)

    @typed
    def __init__(self, v_min: float = 1e-4, v_max: float | None = None):
        self.v_min = v_min
        self.v_max = v_max

    def __check_init__(self):
        end = self.v_max is None or self.v_min < self.v_max < math.inf
        if not (0 < self.v_min < math.inf and end):
            raise ValueError(
                "LogUniformSchedule: expected 0 < `v_min` < `v_max`, both finite, got "
                f"v_min={self.v_min} and v_max={self.v_max}."
            )

    @property
    def t0(self) -> float:
        return 0.0

    @property
    def t1(self) -> float:
        return 1.0

    def ending(self, v_max: float) -> "LogUniformSchedule":
        return self if self.v_max else LogUniformSchedule(self.v_min, v_max)

    @property
    def _log_ratio(self) -> float:
        if self.v_max is None:
            raise ValueError(
                "LogUniformSchedule: expected a `v_max`, got none. Give one, or take "
                "the schedule of a process, process.schedule, which has set it."
            )
        return math.log(self.v_max / self.v_min)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self._log_ratio * self.variance(t)

    @typed
    def variance(self, t: Scalar) -> Scalar:
        return self.v_min * jnp.exp(self._log_ratio * t)

    @typed
    def time(self, v: Scalar) -> Scalar:
        return jnp.log(v / self.v_min) / self._log_ratio
