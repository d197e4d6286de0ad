import equinox as eqx

from .._typing import Scalar, typed
from ._base import AbstractSchedule


class CoarseSchedule(AbstractSchedule):
    """Another schedule, from a later time on: samples and densities at a higher noise
    level, from a score field that has been trained at lower ones too.

    A field that has overfitted its data at low noise levels has done so less at higher
    ones: choose `t0` by validation.

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

    def ending(self, v_max: float) -> "CoarseSchedule":
        return CoarseSchedule(self.schedule.ending(v_max), self.t0)

    @typed
    def beta(self, t: Scalar) -> Scalar:
        return self.schedule.beta(t)

    @typed
    def variance(self, t: Scalar) -> Scalar:
        return self.schedule.variance(t)

    @typed
    def time(self, v: Scalar) -> Scalar:
        return self.schedule.time(v)
