import abc

import equinox as eqx

from .._typing import Scalar


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
