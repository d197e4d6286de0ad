from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._divergence import AbstractDivergence
from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent


# Modules rather than closures, so that every adjoint differentiates their parameters.


class _Flow(eqx.Module):
    manifold: AbstractManifold
    field: Callable[[Point, Scalar], Tangent]

    def __call__(self, t: Any, y: Point, args: Any) -> Tangent:
        return self.field(self.manifold.project(y), t)


class _DensityFlow(eqx.Module):
    r"""$(x, a)' = (f(x, t),\, \mathrm{div} f(x, t))$: along the flow of $f$, $a$ grows
    by what $\log p$ falls by."""

    manifold: AbstractManifold
    field: Callable[[Point, Scalar], Tangent]
    divergence: AbstractDivergence
    key: Key | None

    def __call__(
        self, t: Any, y: tuple[Point, Scalar], args: Any
    ) -> tuple[Tangent, Scalar]:
        x = self.manifold.project(y[0])
        at_t = lambda z: self.field(z, t)
        return at_t(x), self.divergence(self.manifold, at_t, x, self.key)


class ODESolver(eqx.Module):
    """Diffrax's `Tsit5` with adaptive steps, for the flow of a vector field."""

    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint()

    def end(
        self,
        manifold: AbstractManifold,
        field: Callable[[Point, Scalar], Tangent],
        x: Point,
        t0: float,
        t1: float,
    ) -> tuple[Point, Array]:
        """Where the flow carries `x`, and the number of evaluations of the field."""
        end, evaluations = self._solve(_Flow(manifold, field), x, t0, t1)
        return manifold.project(end), evaluations

    def end_and_density(
        self,
        manifold: AbstractManifold,
        field: Callable[[Point, Scalar], Tangent],
        x: Point,
        t0: float,
        t1: float,
        divergence: AbstractDivergence,
        key: Key | None,
    ) -> tuple[Point, Scalar, Array]:
        r"""Where the flow carries `x`, the integral of the divergence along the way,
        and the number of evaluations of both."""
        flow = _DensityFlow(manifold, field, divergence, key)
        y0 = x, jnp.zeros((), x.dtype)
        (end, change), evaluations = self._solve(flow, y0, t0, t1)
        return manifold.project(end), change, evaluations

    def _solve(self, field: Callable, y0: Any, t0: float, t1: float) -> Any:
        dtype = jax.tree.leaves(y0)[0].dtype
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            jnp.asarray(t0, dtype),
            jnp.asarray(t1, dtype),
            None,
            y0,
            stepsize_controller=diffrax.PIDController(self.rtol, self.atol),
            max_steps=self.max_steps,
            adjoint=self.adjoint,
        )
        assert solution.ys is not None
        end = jax.tree.map(lambda leaf: leaf[0], solution.ys)
        # Tsit5 has six new stages a step, accepted or not, and one more at the start.
        return end, 6 * solution.stats["num_steps"] + 1
