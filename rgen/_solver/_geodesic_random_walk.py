from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Floating
from ._exponential import Exponential
from ._retraction import AbstractRetraction
from ._start import check_start


_Time: TypeAlias = Any


class GeodesicInterpolation(diffrax.AbstractLocalInterpolation):
    r"""Interpolation along the geodesic, or the curve of another retraction, of a step:
    $y(t_0 + s\,(t_1 - t_0)) = \exp_{y_0}(s v)$.

    Dense output stays on the manifold. Between the ends of the steps of a random walk
    the points are on the geodesic, not on a Brownian bridge: take statistics at the
    ends of the steps.
    """

    t0: _Time
    t1: _Time
    y0: Floating[Array, "..."]
    v: Floating[Array, "..."]
    manifold: AbstractManifold
    retraction: AbstractRetraction = Exponential()

    def evaluate(
        self, t0: _Time, t1: _Time | None = None, left: bool = True
    ) -> Floating[Array, "..."]:
        """The point at `t0`; the difference of the points at `t1` and at `t0`, as
        arrays, where `t1` is given."""
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        length = self.t1 - self.t0
        safe = jnp.where(length == 0, 1, length)
        s = jnp.where(length == 0, 0, (t0 - self.t0) / safe)
        step = s.astype(self.v.dtype) * self.v
        return self.retraction(self.manifold, self.y0, step)


class GeodesicRandomWalk(diffrax.AbstractItoSolver):
    r"""The geodesic random walk, Algorithm 1 of De Bortoli et al. (2022):
    $y_{k+1} = \exp_{y_k}\big(b(t_k, y_k)\,\delta + \sigma(t_k, y_k)\,\delta B\big)$.

    Of weak order 1. Does not support adaptive step sizing. Uses geodesic interpolation
    for dense/ts output, so that all output is on the manifold.

    When used to solve SDEs, converges to the Itô solution in normal coordinates: to the
    diffusion with generator $\langle b, \nabla f\rangle +
    \tfrac12 \sigma^2 \Delta f$ when the noise is isotropic (Jørgensen 1975), in
    whichever frame the noise is written. When used to solve ODEs it is the geodesic
    Euler method, of order 1.

    Drive it with [`rgen.BrownianGrid`][], which is fast and differentiable, or with
    `diffrax.UnsafeBrownianPath` and `adjoint=diffrax.ForwardMode()`.
    `diffrax.VirtualBrownianTree` works too, and is over twenty times slower.
    `diffrax.BacksolveAdjoint` does not work: the point would leave the manifold.

    **Arguments:**

    - `manifold`: the manifold on which `y` is a point.
    - `retraction`: how a step becomes a point: [`rgen.Exponential`][], or
      [`rgen.ProjectionRetraction`][], which is faster where geodesics are solved as an
      ODE, and of weak order 1 too.
    """

    manifold: AbstractManifold
    retraction: AbstractRetraction = Exponential()
    term_structure: ClassVar = diffrax.AbstractTerm

    @property
    def interpolation_cls(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Callable[..., GeodesicInterpolation]:
        """[`rgen.GeodesicInterpolation`][] on the manifold."""
        return eqx.Partial(
            GeodesicInterpolation, manifold=self.manifold, retraction=self.retraction
        )

    def order(self, terms: Any) -> int:
        return 1

    def strong_order(self, terms: Any) -> float:
        return 0.5

    def init(self, terms: Any, t0: _Time, t1: _Time, y0: Any, args: Any) -> None:
        check_start("GeodesicRandomWalk", self.manifold, y0)

    def step(
        self,
        terms: Any,
        t0: _Time,
        t1: _Time,
        y0: Any,
        args: Any,
        solver_state: None,
        made_jump: Any,
    ) -> tuple[Any, None, dict[str, Any], None, diffrax.RESULTS]:
        v = terms.vf_prod(t0, y0, args, terms.contr(t0, t1))
        y1 = self.retraction(self.manifold, y0, v)
        return y1, None, dict(y0=y0, v=v), None, diffrax.RESULTS.successful

    def func(self, terms: Any, t0: _Time, y0: Any, args: Any) -> Any:
        return terms.vf(t0, y0, args)
