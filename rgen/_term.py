from collections.abc import Callable
from typing import Any, TypeAlias

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ._manifold import AbstractManifold
from ._process import AbstractProcess
from ._typing import Floating, Point, Scalar, Tangent, typed


ScoreFunction: TypeAlias = Callable[[Point, Scalar], Tangent]
_Time: TypeAlias = Any


def evaluate_field(
    field: ScoreFunction, manifold: AbstractManifold, x: Point, t: Scalar
) -> Tangent:
    """The tangent part of `field(x, t)`, with a clear error where its shape is not that
    of a tangent."""
    value = field(x, t)
    if jnp.shape(value) != manifold.point_shape:
        raise ValueError(
            "field: expected score(x, t), or field(x, t), to return a tangent vector "
            f"of {manifold}, of shape {manifold.point_shape}, got {jnp.shape(value)}."
        )
    # A normal part would bend the flow, and its divergence is that of the tangent part.
    return manifold.to_tangent(x, value)


class _ForwardDrift(eqx.Module):
    process: AbstractProcess

    def __call__(self, t: _Time, y: Point, args: Any) -> Tangent:
        return self.process.drift(y, t)


class _ReverseDrift(eqx.Module):
    process: AbstractProcess
    score: ScoreFunction
    weight: float = eqx.field(static=True)

    def __call__(self, t: _Time, y: Point, args: Any) -> Tangent:
        x = self.process.manifold.project(y)
        s = evaluate_field(self.score, self.process.manifold, x, t)
        beta = self.process.schedule.beta(t)
        return self.process.drift(x, t) - self.weight * beta * s


class NoiseTerm(diffrax.AbstractTerm):
    r"""The Diffrax term $\sqrt{\beta(t)}\, E(y)\, \mathrm d B_t$: isotropic noise on
    the manifold of a process, in the frame $E$ of [`rgen.AbstractManifold.frame`][].

    **Arguments:**

    - `process`: the process, whose schedule gives $\beta$.
    - `path`: a Brownian path of shape `process.manifold.noise_shape`.
    """

    process: AbstractProcess
    path: diffrax.AbstractPath

    def vf(self, t: _Time, y: Point, args: Any) -> tuple[Point, Scalar]:
        return y, jnp.sqrt(self.process.schedule.beta(t))

    def contr(self, t0: _Time, t1: _Time, **kwargs: Any) -> Any:
        return self.path.evaluate(t0, t1, **kwargs)

    def prod(
        self, vf: tuple[Point, Scalar], control: Floating[Array, "..."]
    ) -> Tangent:
        y, speed = vf
        return self.process.manifold.frame(y, speed * control)


@typed
def forward_sde(
    process: AbstractProcess, path: diffrax.AbstractPath
) -> diffrax.MultiTerm:
    r"""The noising process $\mathrm dX = b(X, t)\,\mathrm dt +
    \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$ as Diffrax terms, in the sense of Itô
    (De Bortoli et al. 2022, section 3). Solve it with
    [`rgen.GeodesicRandomWalk`][]."""
    drift = diffrax.ODETerm(_ForwardDrift(process))
    return diffrax.MultiTerm(drift, NoiseTerm(process, path))


@typed
def reverse_sde(
    process: AbstractProcess, score: ScoreFunction, path: diffrax.AbstractPath
) -> diffrax.MultiTerm:
    r"""The time reversal of a noising process as Diffrax terms (De Bortoli et al. 2022,
    Theorem 3.1), in the sense of Itô:
    $\mathrm dX = \{b(X, t) - \beta(t)\, s(X, t)\}\,\mathrm dt +
    \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$, with time running from $t_1$ down to
    $t_0$ and $s = \nabla\log p_t$.

    Solve it with [`rgen.GeodesicRandomWalk`][], `t0=process.schedule.t1`,
    `t1=process.schedule.t0` and a negative step, from a draw of `process.prior`, on a
    path whose key is not that of the forward process.
    """
    drift = diffrax.ODETerm(_ReverseDrift(process, score, 1.0))
    return diffrax.MultiTerm(drift, NoiseTerm(process, path))


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
    return diffrax.ODETerm(_ReverseDrift(process, score, 0.5))
