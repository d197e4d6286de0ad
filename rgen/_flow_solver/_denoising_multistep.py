from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._process import AbstractProcess
from .._solver import GeodesicInterpolation
from .._solver._start import check_start
from .._typing import Floating, Point, Tangent, typed
from ._clock import time_of


_Time: TypeAlias = Any
_State: TypeAlias = tuple[Point, Tangent, Floating[Array, "..."]]


class DenoisingMultistep(diffrax.AbstractSolver):
    r"""The exponential multistep method of second order, DPM-Solver++(2M) (Lu et al.
    2022, Algorithm 2), on manifolds, for [`rgen.probability_flow`][]: one evaluation a
    step.

    On the clock $\lambda = -\log \sigma$, with the noise level $\sigma = \sqrt v$, the
    flow of Brownian motion is $\mathrm dx / \mathrm d\lambda = d$ for $d(x, t) = v\,
    s(x, t)$, the tangent vector that points to the denoised point. A step from $x_i$,
    of the length $h$ in $\lambda$ and after one of the length $r h$, is

    $$x_{i+1} = \exp_{x_i}\big((1 - e^{-h})\, D\big), \qquad
    D = d_i + \tfrac1{2r} (d_i - \hat d_{i-1}),$$

    with the previous vector in normal coordinates at $x_i$,

    $$\hat d_{i-1} = \log_{x_i}(x_{i-1}) + \mathrm D\log_{x_i}(x_{i-1})\,[d_{i-1}].$$

    In these coordinates it is the method of flat space, for which the pull of the score
    to a point is linear: a step is exact at any length where that point stays. A field
    is carried into other coordinates by their derivative. Parallel transport of
    $d_{i-1}$ alone would leave out the way from $x_{i-1}$ to $x_i$, and be of order 1.

    Of order 2; the first step is of order 1. It has no error estimate, so that it takes
    fixed steps: `diffrax.StepTo`, or [`rgen.FewSteps`][], whose default it is. Uses
    geodesic interpolation for dense/ts output. Does not solve SDEs, or densities.

    Use it with few steps, ten or more: each evaluation serves two of them.

    With a drift, $d = -2 v f / \beta$ for the field $f$ of the flow: that of an
    [`rgen.OrnsteinUhlenbeck`][] process is $v\,(x + s)$. The order is 2, and the pull
    of the score is exact up to terms of order $v$, which the drift causes.

    Each factor of a product has its own clock and its own coefficients.

    **Arguments:**

    - `process`: the noising process. Its manifold needs `log`, and a
        `NotImplementedError` is raised where it has none. The points of two steps have
        to be nearer than the injectivity radius.
    """

    process: AbstractProcess
    term_structure: ClassVar = diffrax.ODETerm

    @typed
    def __init__(self, process: AbstractProcess):
        self.process = process

    def __check_init__(self):
        if type(self.process.manifold)._log is AbstractManifold._log:
            raise NotImplementedError(
                f"DenoisingMultistep: {self.process.manifold} defines no `_log`. Take "
                "a solver that needs none, rgen.NoiseClock(diffrax.Heun(), "
                "process.schedule), or define it."
            )

    @property
    def interpolation_cls(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Callable[..., GeodesicInterpolation]:
        """[`rgen.GeodesicInterpolation`][] on the manifold of the process."""
        return eqx.Partial(GeodesicInterpolation, manifold=self.process.manifold)

    def order(self, terms: Any) -> int:
        return 2

    def init(self, terms: Any, t0: _Time, t1: _Time, y0: Any, args: Any) -> _State:
        check_start("DenoisingMultistep", self.process.manifold, y0)
        nowhere = jnp.full_like(self._log_level(terms, t0), jnp.inf)
        return y0, jnp.zeros_like(y0), nowhere

    def step(
        self,
        terms: Any,
        t0: _Time,
        t1: _Time,
        y0: Point,
        args: Any,
        solver_state: _State,
        made_jump: Any,
    ) -> tuple[Point, None, dict[str, Any], _State, diffrax.RESULTS]:
        manifold, broadcast = self.process.manifold, self.process.broadcast
        before, d_before, level_before = solver_state
        # From infinitely far away nothing is extrapolated.
        level_before = jnp.where(made_jump, jnp.inf, level_before)
        level, level_after = self._log_level(terms, t0), self._log_level(terms, t1)
        d = self._direction(terms, t0, y0, args)
        log = lambda x: manifold.log(y0, x)
        at, moved = jax.jvp(log, (before,), (d_before,))
        # After a step of no length nothing is extrapolated either.
        width = level_before - level
        share = (level - level_after) / (2 * jnp.where(width == 0, jnp.inf, width))
        estimate = d + broadcast(share) * (d - (at + moved))
        v = broadcast(-jnp.expm1(level_after - level)) * estimate
        y1, state = manifold.exp(y0, v), (y0, d, level)
        return y1, None, dict(y0=y0, v=v), state, diffrax.RESULTS.successful

    def func(self, terms: Any, t0: _Time, y0: Point, args: Any) -> Tangent:
        return terms.vf(t0, y0, args)

    def _direction(self, terms: Any, t: _Time, y: Point, args: Any) -> Tangent:
        r"""$\mathrm dx / \mathrm d\lambda$."""
        schedule, time = self.process.schedule, time_of(terms, t)
        rate = -2 * schedule.variance(time) / schedule.beta(time)
        return self.process.broadcast(rate) * terms.vf(t, y, args)

    def _log_level(self, terms: Any, t: _Time) -> Floating[Array, "..."]:
        r"""$\log \sigma = -\lambda$, for each factor of a product."""
        return jnp.log(self.process.schedule.variance(time_of(terms, t))) / 2
