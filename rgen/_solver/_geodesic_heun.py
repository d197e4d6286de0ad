from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import diffrax
import equinox as eqx
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Point, Tangent
from ._evaluations import evaluations
from ._geodesic_random_walk import GeodesicInterpolation
from ._start import check_start


_Time: TypeAlias = Any


class GeodesicHeun(diffrax.AbstractAdaptiveSolver):
    r"""Heun's method along geodesics, for ODEs:

    $$y_1 = \exp_{y_0}\big(\tfrac h2 (k_1 + \Pi\, k_2)\big), \qquad k_1 = f(t_0, y_0),
    \quad k_2 = f\big(t_1, \exp_{y_0}(h k_1)\big),$$

    where $\Pi$ is parallel transport back to $y_0$.

    Of order 2, with two evaluations a step. Has an embedded geodesic Euler method for
    adaptive step sizing, with the error $\tfrac h2 (\Pi\, k_2 - k_1)$, and geodesic
    interpolation for dense/ts output. Does not solve SDEs.

    A step has to be shorter than the injectivity radius.

    Use it for the probability flow in few steps, as
    `rgen.NoiseClock(rgen.GeodesicHeun(manifold), schedule)`; it is the solver of
    [`rgen.Churn`][]. [`rgen.MuntheKaas`][] has higher orders, and needs `log` in the
    place of `transport`. On a manifold with neither, Diffrax's own solvers work with
    [`rgen.probability_flow`][], which projects.

    **Arguments:**

    - `manifold`: the manifold on which `y` is a point. It needs `transport`, and a
        `NotImplementedError` is raised where it has none.
    """

    manifold: AbstractManifold
    term_structure: ClassVar = diffrax.ODETerm

    def __check_init__(self):
        if type(self.manifold)._transport is AbstractManifold._transport:
            raise NotImplementedError(
                f"GeodesicHeun: {self.manifold} defines no `_transport`. Define it, or "
                "take a solver that needs none: diffrax.Heun(), or of order one "
                "rgen.GeodesicRandomWalk(manifold)."
            )

    @property
    def interpolation_cls(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Callable[..., GeodesicInterpolation]:
        """[`rgen.GeodesicInterpolation`][] on the manifold."""
        return eqx.Partial(GeodesicInterpolation, manifold=self.manifold)

    def order(self, terms: Any) -> int:
        return 2

    def init(self, terms: Any, t0: _Time, t1: _Time, y0: Any, args: Any) -> None:
        check_start("GeodesicHeun", self.manifold, y0)

    def step(
        self,
        terms: Any,
        t0: _Time,
        t1: _Time,
        y0: Point,
        args: Any,
        solver_state: None,
        made_jump: Any,
    ) -> tuple[Point, Tangent, dict[str, Any], None, diffrax.RESULTS]:
        control = terms.contr(t0, t1)
        first = terms.vf_prod(t0, y0, args, control)
        predicted = self.manifold.exp(y0, first)
        second = terms.vf_prod(t1, predicted, args, control)
        second = self.manifold.transport(predicted, y0, second)
        v = (first + second) / 2
        y1 = self.manifold.exp(y0, v)
        error = (second - first) / 2
        return y1, error, dict(y0=y0, v=v), None, diffrax.RESULTS.successful

    def func(self, terms: Any, t0: _Time, y0: Point, args: Any) -> Tangent:
        return terms.vf(t0, y0, args)


@evaluations.register
def _(solver: GeodesicHeun, steps: Array) -> Array:
    return 2 * steps
