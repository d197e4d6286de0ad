from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Point, Tangent, typed
from ._evaluations import evaluations
from ._start import check_start


_Time: TypeAlias = Any


class MuntheKaas(diffrax.AbstractWrappedSolver):
    r"""A Runge–Kutta–Munthe-Kaas method (Munthe-Kaas 1998, *Runge–Kutta methods on Lie
    groups*), for ODEs: each step is one of another Runge–Kutta method, in normal
    coordinates at $y_0$. It solves

    $$\dot w = \mathrm D\log_{y_0}(z)\,[f(t, z)], \qquad z = \exp_{y_0}(w),$$

    from $w = 0$, and $y_1 = \exp_{y_0}(w_1)$. On a Lie group with a bi-invariant metric
    $\mathrm D\log$ is the inverse of the differential of the exponential, and this is
    the method of the paper; here it works on every manifold with a `log`, whose
    derivative is taken by forward mode.

    Of the order of the other method, with its evaluations a step, its error estimate
    for adaptive step sizing, in normal coordinates, and its dense output. Does not
    solve SDEs. A step has to be shorter than the injectivity radius.

    `rgen.MuntheKaas(manifold, diffrax.Bosh3())` is of order 3, with three evaluations a
    step. Use it, or `diffrax.Tsit5()` inside, when you need high accuracy;
    [`rgen.DenoisingMultistep`][] is more exact in few steps.

    **Arguments:**

    - `manifold`: the manifold on which `y` is a point. It needs `log`, and a
        `NotImplementedError` is raised where it has none.
    - `solver`: an explicit Runge–Kutta solver of Diffrax, such as `diffrax.Heun()`. A
        `ValueError` is raised for another one.
    """

    manifold: AbstractManifold
    solver: diffrax.AbstractSolver
    term_structure: ClassVar = diffrax.ODETerm

    @typed
    def __init__(self, manifold: AbstractManifold, solver: diffrax.AbstractSolver):
        self.manifold = manifold
        self.solver = _in_both_modes(solver)

    def __check_init__(self):
        # A solver that wraps another one is an instance of its class too.
        kinds = diffrax.AbstractERK, diffrax.Euler
        if not issubclass(type(self.solver), kinds):
            raise ValueError(
                "MuntheKaas: expected `solver` to be an explicit Runge-Kutta solver "
                f"of Diffrax, got a {type(self.solver).__name__}. Take diffrax.Bosh3()."
            )
        if type(self.manifold)._log is AbstractManifold._log:
            raise NotImplementedError(
                f"MuntheKaas: {self.manifold} defines no `_log`. Define it, or take "
                "the inner solver alone: points are arrays, and rgen.probability_flow "
                "projects them."
            )

    @property
    def scan_kind(self) -> Any:
        """That of the inner solver: one for forward and reverse mode."""
        return self.solver.scan_kind  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def interpolation_cls(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Callable[..., diffrax.AbstractLocalInterpolation]:
        """That of the inner solver, in normal coordinates."""
        inner_cls = self.solver.interpolation_cls
        return eqx.Partial(_Interpolation, manifold=self.manifold, inner_cls=inner_cls)

    def order(self, terms: Any) -> int | None:
        return self.solver.order(terms)

    def error_order(self, terms: Any) -> Any:
        return self.solver.error_order(terms)

    def init(self, terms: Any, t0: _Time, t1: _Time, y0: Any, args: Any) -> Any:
        check_start("MuntheKaas", self.manifold, y0)
        term = _NormalTerm(self.manifold, y0, terms)
        return self.solver.init(term, t0, t1, jnp.zeros_like(y0), args)

    def step(
        self,
        terms: Any,
        t0: _Time,
        t1: _Time,
        y0: Point,
        args: Any,
        solver_state: Any,
        made_jump: Any,
    ) -> tuple[Point, Any, dict[str, Any], Any, diffrax.RESULTS]:
        term, start = _NormalTerm(self.manifold, y0, terms), jnp.zeros_like(y0)
        w, error, inner, state, result = self.solver.step(
            term, t0, t1, start, args, solver_state, made_jump
        )
        exp = lambda w: self.manifold.exp(y0, w)
        push = lambda k: jax.jvp(exp, (w,), (k,))[1]
        # The last stage may be the first of the next step, whose coordinates are others
        # and agree with the tangent vectors at their origin.
        keep = lambda leaf: push(leaf) if jnp.shape(leaf) == w.shape else leaf
        state = jax.tree.map(keep, state)
        return exp(w), error, dict(y0=y0, inner=inner), state, result

    def func(self, terms: Any, t0: _Time, y0: Point, args: Any) -> Tangent:
        return terms.vf(t0, y0, args)


def _in_both_modes(solver: diffrax.AbstractSolver) -> diffrax.AbstractSolver:
    """The solver with a loop over its stages that has derivatives in both modes, which
    Diffrax sets by itself for one that no other solver wraps."""
    if getattr(solver, "scan_kind", "none") is not None:
        return solver
    empty = lambda leaf: leaf is None
    return eqx.tree_at(lambda s: s.scan_kind, solver, "bounded", is_leaf=empty)


class _NormalTerm(diffrax.AbstractTerm):
    """An ODE in normal coordinates at `y0`."""

    manifold: AbstractManifold
    y0: Point
    term: diffrax.AbstractTerm

    def vf(self, t: _Time, y: Tangent, args: Any) -> Tangent:
        z = self.manifold.exp(self.y0, y)
        log = lambda z: self.manifold.log(self.y0, z)
        return jax.jvp(log, (z,), (self.term.vf(t, z, args),))[1]

    def contr(self, t0: _Time, t1: _Time, **kwargs: Any) -> Any:
        return self.term.contr(t0, t1, **kwargs)

    def prod(self, vf: Tangent, control: Any) -> Tangent:
        return self.term.prod(vf, control)


class _Interpolation(diffrax.AbstractLocalInterpolation):
    t0: _Time
    t1: _Time
    y0: Point
    inner: dict[str, Any]
    manifold: AbstractManifold
    inner_cls: Callable[..., Any] = eqx.field(static=True)

    def evaluate(self, t0: _Time, t1: _Time | None = None, left: bool = True) -> Array:
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        inner = self.inner_cls(t0=self.t0, t1=self.t1, **self.inner)
        return self.manifold.exp(self.y0, inner.evaluate(t0))


@evaluations.register
def _(solver: MuntheKaas, steps: Array) -> Array:
    return evaluations(solver.solver, steps)
