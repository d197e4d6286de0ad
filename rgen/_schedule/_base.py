import abc
import math

import equinox as eqx

from .._typing import Scalar


class AbstractSchedule(eqx.Module):
    r"""The speed $\beta(t) > 0$ of a noising process, and the interval
    $[t_0, t_1]$ of times on which a score is learnt.

    Losses take times of the interval, and samplers stop at its start: densities and
    samples are those of the data with noise of the variance `variance(t0)`.

    A schedule of your own defines the three abstract methods and the two times.
    """

    t0: eqx.AbstractVar[float]
    """The first time at which the score is learnt: where samplers stop."""

    t1: eqx.AbstractVar[float]
    """The last time at which the score is learnt: where samplers start."""

    @abc.abstractmethod
    def beta(self, t: Scalar) -> Scalar:
        r"""The speed $\beta(t)$, in units of variance per time."""

    @abc.abstractmethod
    def variance(self, t: Scalar) -> Scalar:
        r"""The variance $v(t) = \int \beta$ that has accumulated at time `t` since the
        process was at the data."""

    @abc.abstractmethod
    def time(self, v: Scalar) -> Scalar:
        """The time at which the variance `v` has accumulated: the inverse of
        `variance`."""

    def ending(self, v_max: float) -> "AbstractSchedule":
        """This schedule, ending at the variance `v_max` if it leaves its end open, as
        a [`rgen.LogUniformSchedule`][] can. A process calls it with an end at which it
        has forgotten the data."""
        return self

    def __check_init__(self):
        if not -math.inf < self.t0 < self.t1 < math.inf:
            raise ValueError(
                f"{type(self).__name__}: expected `t0` before `t1`, both finite, got "
                f"t0={self.t0} and t1={self.t1}."
            )


def check_start(schedule: AbstractSchedule) -> None:
    """Raises a `ValueError` where a schedule that is at the data at time 0 starts
    there."""
    if not schedule.t0 > 0:
        raise ValueError(
            f"{type(schedule).__name__}: expected `t0` to be positive, got "
            f"{schedule.t0}: at time 0 there is no noise, and no score. Take "
            "t0=1e-3, the default, or another noise level."
        )
