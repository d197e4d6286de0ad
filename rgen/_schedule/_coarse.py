import equinox as eqx

from .._typing import Scalar, typed
from ._base import AbstractSchedule


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
