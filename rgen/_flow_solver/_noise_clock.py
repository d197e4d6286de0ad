from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._schedule import AbstractSchedule
from .._solver._evaluations import evaluations
from .._typing import Scalar, typed
from ._clock import noise_level, pace, time_at, time_of


_Time: TypeAlias = Any


class NoiseClock(diffrax.AbstractWrappedSolver):
    r"""The steps of another solver on the clock $\sigma(t) = \sqrt{v(t)}$, the noise
    level of a schedule, for the [`rgen.probability_flow`][] of a process without drift.

    The score near the data is a pull to a point that grows as $1/v$,
    $s(x, t) = \log_x(x_0) / v$. On this clock,

    $$\frac{\mathrm dx}{\mathrm d\sigma} = -\sigma\, s(x, t) = -\frac{\log_x(x_0)}
    {\sigma},$$

    whose solution runs along a geodesic at constant speed: one step of a geodesic
    solver is exact at any length, and where the point $x_0$ moves on the way, the error
    is what it moves by. In flat space a geodesic Euler step is DDIM (Song et al. 2021),
    and Heun's method is that of Karras et al. (2022, Algorithm 1).

    Has the order, cost, error estimate and dense output of the other solver. With a
    drift the order stays, and nothing is exact. Does not solve SDEs.

    Use it when the data are narrow against the noise, as most data are at most of the
    noise levels. [`rgen.DenoisingMultistep`][] takes fewer evaluations to the same
    error, and needs `log`.

    Several schedules, those of a [`rgen.ProductProcess`][], have one clock here: the
    geometric mean of their variances. Where they differ, the pull is exact for none of
    the factors; [`rgen.DenoisingMultistep`][] has a clock for each.

    **Arguments:**

    - `solver`: a Diffrax solver for ODEs: [`rgen.GeodesicRandomWalk`][],
        [`rgen.GeodesicHeun`][], [`rgen.MuntheKaas`][] or one of Diffrax's own.
    - `schedule`: the schedule of the process, `process.schedule`.
    """

    solver: diffrax.AbstractSolver
    schedule: AbstractSchedule
    term_structure: ClassVar = diffrax.ODETerm

    @typed
    def __init__(self, solver: diffrax.AbstractSolver, schedule: AbstractSchedule):
        self.solver = solver
        self.schedule = schedule

    @property
    def scan_kind(self) -> Any:
        """That of the inner solver, which Diffrax sets for forward mode."""
        return self.solver.scan_kind  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def root_finder(self) -> Any:
        """That of the inner solver where it is implicit, whose tolerances Diffrax
        sets."""
        return self.solver.root_finder  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def interpolation_cls(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Callable[..., diffrax.AbstractLocalInterpolation]:
        """That of the inner solver, at the noise level of a time."""
        inner_cls = self.solver.interpolation_cls
        return eqx.Partial(_Interpolation, schedule=self.schedule, inner_cls=inner_cls)

    def order(self, terms: Any) -> int | None:
        return self.solver.order(terms)

    def error_order(self, terms: Any) -> Any:
        return self.solver.error_order(terms)

    def init(self, terms: Any, t0: _Time, t1: _Time, y0: Any, args: Any) -> Any:
        return self.solver.init(*self._on_clock(terms, t0, t1), y0, args)

    def step(
        self,
        terms: Any,
        t0: _Time,
        t1: _Time,
        y0: Any,
        args: Any,
        solver_state: Any,
        made_jump: Any,
    ) -> tuple[Any, Any, dict[str, Any], Any, diffrax.RESULTS]:
        clock = self._on_clock(terms, t0, t1)
        y1, error, inner, state, result = self.solver.step(
            *clock, y0, args, solver_state, made_jump
        )
        direction = time_of(terms, jnp.ones_like(t0))
        return y1, error, dict(inner=inner, direction=direction), state, result

    def func(self, terms: Any, t0: _Time, y0: Any, args: Any) -> Any:
        return terms.vf(t0, y0, args)

    def _on_clock(
        self, terms: Any, t0: _Time, t1: _Time
    ) -> tuple["_ClockTerm", Scalar, Scalar]:
        level = lambda t: noise_level(self.schedule, time_of(terms, t))
        return _ClockTerm(terms, self.schedule), level(t0), level(t1)


class _ClockTerm(diffrax.AbstractTerm):
    """An ODE with the noise level for its time."""

    term: diffrax.AbstractTerm
    schedule: AbstractSchedule

    def vf(self, t: _Time, y: Any, args: Any) -> Any:
        time = time_at(self.schedule, t)
        field = self.term.vf(time_of(self.term, time), y, args)
        return self.term.prod(field, pace(self.schedule, time, t))

    def contr(self, t0: _Time, t1: _Time, **kwargs: Any) -> Scalar:
        return t1 - t0

    def prod(self, vf: Any, control: Scalar) -> Any:
        return self.term.prod(vf, control)


class _Interpolation(diffrax.AbstractLocalInterpolation):
    t0: _Time
    t1: _Time
    inner: dict[str, Any]
    direction: Scalar
    schedule: AbstractSchedule
    inner_cls: Callable[..., Any] = eqx.field(static=True)

    def evaluate(self, t0: _Time, t1: _Time | None = None, left: bool = True) -> Any:
        level = lambda t: noise_level(self.schedule, self.direction * t)
        inner = self.inner_cls(t0=level(self.t0), t1=level(self.t1), **self.inner)
        return inner.evaluate(level(t0), None if t1 is None else level(t1))


@evaluations.register
def _(solver: NoiseClock, steps: Array) -> Array:
    return evaluations(solver.solver, steps)
