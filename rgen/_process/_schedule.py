import abc
import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Scalar, typed


class AbstractSchedule(eqx.Module):
    r"""The speed $\beta(t) > 0$ of a noising process, and the interval
    $[t_0, t_1]$ of times on which a score is learnt.

    Losses draw times from the interval, and samplers stop at its start: densities and
    samples are those of the data blurred by the variance `integral(t0)`.
    """

    t0: eqx.AbstractVar[float]
    """The first time at which the score is learnt: where samplers stop."""

    t1: eqx.AbstractVar[float]
    """The last time at which the score is learnt: where samplers start."""

    @abc.abstractmethod
    def beta(self, t: Scalar) -> Scalar:
        r"""The speed $\beta(t)$, in units of variance per time."""

    @abc.abstractmethod
    def integral(self, t: Scalar) -> Scalar:
        r"""The variance $\int \beta$ that has accumulated at time `t` since the process
        was at the data."""

    def __check_init__(self):
        if not self.t0 < self.t1:
            raise ValueError(
                f"{type(self).__name__}: expected `t0` before `t1`, got t0={self.t0} "
                f"and t1={self.t1}."
            )


class ConstantSchedule(AbstractSchedule):
    r"""$\beta(t) = \beta$, so that the accumulated variance is $\beta t$.

    **Arguments:**

    - `speed`: the constant $\beta$.
    - `t0`, `t1`: the times between which a score is learnt.
    """

    speed: float = eqx.field(static=True, default=1.0)
    t0: float = eqx.field(static=True, default=1e-3)
    t1: float = eqx.field(static=True, default=1.0)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return jnp.full_like(t, self.speed)

    @typed
    def integral(self, t: Scalar) -> Scalar:
        return self.speed * t


class LinearSchedule(AbstractSchedule):
    r"""$\beta(t) = \beta_0 + (\beta_1 - \beta_0)\, t$, the schedule of the paper's
    experiments (appendix O), with accumulated variance
    $\beta_0 t + \tfrac12 (\beta_1 - \beta_0)\, t^2$.

    **Arguments:**

    - `beta_0`, `beta_1`: the speed at times 0 and 1.
    - `t0`, `t1`: the times between which a score is learnt.
    """

    beta_0: float = eqx.field(static=True, default=1e-3)
    beta_1: float = eqx.field(static=True, default=5.0)
    t0: float = eqx.field(static=True, default=1e-3)
    t1: float = eqx.field(static=True, default=1.0)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self.beta_0 + (self.beta_1 - self.beta_0) * t

    @typed
    def integral(self, t: Scalar) -> Scalar:
        return t * (self.beta_0 + (self.beta_1 - self.beta_0) * t / 2)


class LogUniformSchedule(AbstractSchedule):
    r"""Accumulated variance $v(t) = v_{\min}^{1-t}\, v_{\max}^{t}$ for
    $t \in [0, 1]$, so that a uniform time is a log-uniform variance, and every scale of
    the data has the same share of the training and of the steps of a sampler.

    The speed is $\beta(t) = v(t) \log(v_{\max} / v_{\min})$. The data sits at
    $t = -\infty$, and is blurred by `v_min` at time 0.

    **Arguments:**

    - `v_min`: the variance at time 0: the resolution of samples and densities.
    - `v_max`: the variance at time 1, large enough for the process to be at its limit:
        on a compact manifold a few times `1 / spectral_gap`.
    """

    v_min: float = eqx.field(static=True)
    v_max: float = eqx.field(static=True)

    @typed
    def __init__(self, v_min: float = 1e-4, v_max: float = 5.0):
        self.v_min = v_min
        self.v_max = v_max

    def __check_init__(self):
        if not 0 < self.v_min < self.v_max:
            raise ValueError(
                "LogUniformSchedule: expected 0 < `v_min` < `v_max`, got "
                f"v_min={self.v_min} and v_max={self.v_max}."
            )

    @property
    def t0(self) -> float:
        return 0.0

    @property
    def t1(self) -> float:
        return 1.0

    @property
    def _log_ratio(self) -> float:
        return math.log(self.v_max / self.v_min)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self._log_ratio * self.integral(t)

    @typed
    def integral(self, t: Scalar) -> Scalar:
        return self.v_min * jnp.exp(self._log_ratio * t)


class CoarseSchedule(AbstractSchedule):
    """Another schedule, from a later time on: samples and densities of a coarser
    resolution, from a score field that has been trained at finer ones too.

    A field that has fitted the noise of its data at fine scales has done so less at
    coarser ones: where to stop is for validation to say.

    **Arguments:**

    - `schedule`: the schedule that the field was trained with.
    - `t0`: the time to stop at, between `schedule.t0` and `schedule.t1`.
    """

    schedule: AbstractSchedule
    t0: float = eqx.field(static=True)

    @typed
    def __init__(self, schedule: AbstractSchedule, t0: float):
        self.schedule = schedule
        self.t0 = t0

    def __check_init__(self):
        if self.t0 < self.schedule.t0:
            raise ValueError(
                f"CoarseSchedule: expected `t0` to be {self.schedule.t0} or later, "
                f"where the schedule begins, got {self.t0}."
            )

    @property
    def t1(self) -> float:
        return self.schedule.t1

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self.schedule.beta(t)

    @typed
    def integral(self, t: Scalar) -> Scalar:
        return self.schedule.integral(t)
