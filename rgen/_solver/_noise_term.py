from collections.abc import Callable
from typing import Any, TypeAlias

import diffrax
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Floating, Point, Tangent


_Time: TypeAlias = Any


class NoiseTerm(diffrax.AbstractTerm):
    r"""The Diffrax term $\sqrt{\beta(t)}\, E(y)\, \mathrm d B_t$: isotropic noise on
    a manifold, in the frame $E$ of [`rgen.AbstractManifold.frame`][].

    **Arguments:**

    - `manifold`: the manifold.
    - `beta`: the speed $\beta$, a function of the time. Its values multiply tangent
        vectors: they are numbers, or arrays that broadcast against
        `manifold.point_shape` and are constant on each factor of a product.
    - `path`: a Brownian path of shape `manifold.noise_shape`.
    """

    manifold: AbstractManifold
    beta: Callable[[_Time], Floating[Array, "..."]]
    path: diffrax.AbstractPath

    def vf(self, t: _Time, y: Point, args: Any) -> tuple[Point, Array]:
        return y, jnp.sqrt(self.beta(t))

    def contr(self, t0: _Time, t1: _Time, **kwargs: Any) -> Any:
        return self.path.evaluate(t0, t1, **kwargs)

    def prod(self, vf: tuple[Point, Array], control: Floating[Array, "..."]) -> Tangent:
        y, speed = vf
        return speed * self.manifold.frame(y, control)
