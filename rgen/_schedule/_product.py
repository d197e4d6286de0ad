import jax.numpy as jnp
from jaxtyping import Array

from .._typing import Floating, Scalar, typed
from ._base import AbstractSchedule


class ProductSchedule(AbstractSchedule):
    """Several schedules on one clock, for the factors of a
    [`rgen.ProductProcess`][]: speeds and variances are arrays of shape `(factors,)`.

    **Arguments:**

    - `schedules`: the schedules, one argument each. A `ValueError` is raised where they
        do not run between the same times.
    """

    schedules: tuple[AbstractSchedule, ...]

    @typed
    def __init__(self, *schedules: AbstractSchedule):
        self.schedules = schedules

    def __check_init__(self):
        if not self.schedules:
            raise ValueError(
                "ProductSchedule: expected a schedule for each factor, got none."
            )
        if len({(schedule.t0, schedule.t1) for schedule in self.schedules}) != 1:
            ends = ", ".join(f"[{s.t0}, {s.t1}]" for s in self.schedules)
            raise ValueError(
                "ProductSchedule: expected schedules between the same times, got "
                f"{ends}. Give them the same `t0` and `t1`."
            )

    @property
    def t0(self) -> float:
        return self.schedules[0].t0

    @property
    def t1(self) -> float:
        return self.schedules[0].t1

    @typed
    def beta(self, t: Scalar) -> Floating[Array, " factors"]:
        return jnp.stack([schedule.beta(t) for schedule in self.schedules])

    @typed
    def variance(self, t: Scalar) -> Floating[Array, " factors"]:
        return jnp.stack([schedule.variance(t) for schedule in self.schedules])

    @typed
    def time(self, v: Floating[Array, " factors"]) -> Scalar:
        """The mean of the times at which the factors have accumulated `v`."""
        pairs = zip(self.schedules, v, strict=True)
        return jnp.mean(jnp.stack([schedule.time(v) for schedule, v in pairs]))
