from collections.abc import Callable
from typing import Any, TypeAlias

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ._divergence import AbstractDivergence, ExactDivergence
from ._manifold import AbstractManifold
from ._process import AbstractProcess
from ._solver import NoiseTerm
from ._typing import Key, Point, Scalar, Tangent, typed


ScoreFunction: TypeAlias = Callable[[Point, Scalar], Tangent]
_Time: TypeAlias = Any


def evaluate_field(
    field: ScoreFunction, manifold: AbstractManifold, x: Point, t: Scalar
) -> Array:
    """`field(x, t)` in the dtype of the point, with a clear error where it has not the
    shape of a tangent vector."""
    value = field(x, t)
    if jnp.shape(value) != manifold.point_shape:
        raise ValueError(
            "field: expected score(x, t), or field(x, t), to return a tangent vector "
            f"of {manifold}, of shape {manifold.point_shape}, got {jnp.shape(value)}."
        )
    return jnp.asarray(value, x.dtype)


class _Speed(eqx.Module):
    process: AbstractProcess

    def __call__(self, t: _Time) -> Array:
        return self.process.broadcast(self.process.schedule.beta(t))


class _ForwardDrift(eqx.Module):
    process: AbstractProcess

    def __call__(self, t: _Time, y: Point, args: Any) -> Tangent:
        return self.process.drift(y, t)


class _ReverseDrift(eqx.Module):
    r"""$b(x, t) - w\, \beta(t)\, s(x, t)$, of which the score need not be tangent."""

    process: AbstractProcess
    score: ScoreFunction
    weight: float = eqx.field(static=True)

    def __call__(self, x: Point, t: Scalar) -> Array:
        score = evaluate_field(self.score, self.process.manifold, x, t)
        speed = self.process.broadcast(self.process.schedule.beta(t))
        return self.process.drift(x, t) - self.weight * speed * score


class _Flow(eqx.Module):
    manifold: AbstractManifold
    field: ScoreFunction

    # Diffrax evaluates a term in several places: so it is traced in one.
    @eqx.filter_jit
    def __call__(self, t: _Time, y: Point, args: Any) -> Tangent:
        x = self.manifold.project(y)
        # A normal part would bend the flow.
        return self.manifold.to_tangent(x, self.field(x, t))


class _DensityFlow(eqx.Module):
    manifold: AbstractManifold
    field: ScoreFunction
    divergence: AbstractDivergence
    key: Key | None

    @eqx.filter_jit
    def __call__(
        self, t: _Time, y: tuple[Point, Scalar], args: Any
    ) -> tuple[Tangent, Scalar]:
        x = self.manifold.project(y[0])
        at_t = lambda z: self.field(z, t)
        return self.divergence(self.manifold, at_t, x, self.key)


@typed
def forward_sde(
    process: AbstractProcess, path: diffrax.AbstractPath
) -> diffrax.MultiTerm:
    r"""The noising process $\mathrm dX = b(X, t)\,\mathrm dt +
    \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$ as Diffrax terms, in the sense of Itô
    (De Bortoli et al. 2022, section 3). Solve it with
    [`rgen.GeodesicRandomWalk`][]."""
    drift = diffrax.ODETerm(_ForwardDrift(process))
    noise = NoiseTerm(process.manifold, _Speed(process), path)
    return diffrax.MultiTerm(drift, noise)


@typed
def reverse_sde(
    process: AbstractProcess, score: ScoreFunction, path: diffrax.AbstractPath
) -> diffrax.MultiTerm:
    r"""The time reversal of a noising process as Diffrax terms (De Bortoli et al. 2022,
    Theorem 3.1), in the sense of Itô:
    $\mathrm dX = \{b(X, t) - \beta(t)\, s(X, t)\}\,\mathrm dt +
    \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$, with time running from $t_1$ down to
    $t_0$ and $s = \nabla\log p_t$.

    Solve it with [`rgen.GeodesicRandomWalk`][], along the times of
    [`process.time_grid`][rgen.AbstractProcess.time_grid], from a sample of
    `process.prior`, on a path whose key is not that of the forward process.
    """
    drift = flow_term(process.manifold, _ReverseDrift(process, score, 1.0))
    noise = NoiseTerm(process.manifold, _Speed(process), path)
    return diffrax.MultiTerm(drift, noise)


@typed
def probability_flow(process: AbstractProcess, score: ScoreFunction) -> diffrax.ODETerm:
    r"""The probability-flow ODE $\dot x = b(x, t) - \tfrac12 \beta(t)\, s(x, t)$, whose
    flow carries the marginals of the noising process (Song et al., *Score-Based
    Generative Modeling through Stochastic Differential Equations*, 2021; on manifolds
    De Bortoli et al. 2022), as a Diffrax term.

    Any Diffrax solver for ODEs works: points are arrays, the field is evaluated at the
    projection of `y` to the manifold, and the flow is tangent to it. Project at the
    end.
    """
    return flow_term(process.manifold, _ReverseDrift(process, score, 0.5))


@typed
def flow_term(manifold: AbstractManifold, field: ScoreFunction) -> diffrax.ODETerm:
    r"""$\dot x = P_x f(x, t)$ for a vector field on a manifold, or the tangent part of
    an array-valued function, as a Diffrax term.

    Points are arrays, and the field is evaluated at the projection of `y` to the
    manifold: any Diffrax solver for ODEs works. Project at the end.
    """
    return diffrax.ODETerm(_Flow(manifold, field))


@typed
def density_term(
    flow: diffrax.ODETerm,
    divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
    key: Key | None = None,
) -> diffrax.ODETerm:
    r"""$(\dot x, \dot a) = (f(x, t),\, \mathrm{div} f(x, t))$ for a term of
    [`rgen.flow_term`][] or [`rgen.probability_flow`][]: along the flow, $a$ rises by
    what the log-density falls by."""
    field = flow.vector_field
    if not isinstance(field, _Flow):
        raise ValueError(
            "density_term: expected `flow` to be a term of rgen.flow_term or "
            f"rgen.probability_flow, got one of {type(field).__name__}. Make it with "
            "rgen.flow_term(manifold, field)."
        )
    return diffrax.ODETerm(_DensityFlow(field.manifold, field.field, divergence, key))
