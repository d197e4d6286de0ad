import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ... import datasets
from ..._numerics import safe_sqrt
from ..._typing import BoolScalar, Floating, typed
from ._base import clamp
from ._sphere import AbstractSphereProjection


class Mollweide(AbstractSphereProjection):
    r"""The whole sphere in an ellipse of semi-axes 2 and 1, with areas in proportion.

    The point at longitude $\lambda$ from the middle and latitude $\varphi$ is at
    $(\tfrac2\pi \lambda \cos\theta, \sin\theta)$, where
    $2\theta + \sin 2\theta = \pi \sin\varphi$.

    Source: Snyder, *Map Projections: A Working Manual* (1987), equations 31-1 to 31-3.

    **Arguments:**

    - `longitude`: of the meridian in the middle, in degrees.
    """

    longitude: float = eqx.field(static=True, default=0.0)

    @property
    def semi_axes(self) -> tuple[float, float]:
        return 2.0, 1.0

    @typed
    def forward(
        self, x: Floating[Array, "3"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        λ = jnp.deg2rad(datasets.to_degrees(x)[0] - self.longitude)
        λ = (λ + jnp.pi) % (2 * jnp.pi) - jnp.pi
        # pi (1 - sin|φ|), without the cancellation near a pole.
        c = jnp.pi * (x[0] ** 2 + x[1] ** 2) / (1 + jnp.abs(x[2]))
        # To the pole is the angle ε: θ = ±(pi / 2 - ε).
        ε = _angle_to_pole(c)
        u, v = 2 / jnp.pi * λ * jnp.sin(ε), jnp.where(x[2] < 0, -1, 1) * jnp.cos(ε)
        return jnp.stack([u, v]), jnp.array(True)

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "3"]:
        u, v = clamp(uv, self.semi_axes)
        θ, width = jnp.arcsin(v), safe_sqrt(1 - v**2)
        z = (2 * θ + jnp.sin(2 * θ)) / jnp.pi
        z = jnp.clip(z, -1, 1)
        λ = jnp.pi / 2 * u / jnp.where(width > 0, width, 1)
        λ = jnp.clip(λ, -jnp.pi, jnp.pi) + math.radians(self.longitude)
        radius = safe_sqrt(1 - z**2)
        return jnp.stack([radius * jnp.cos(λ), radius * jnp.sin(λ), z])


def _angle_to_pole(c: Floating[Array, ""]) -> Floating[Array, ""]:
    """Solves 2ε - sin 2ε = c for 0 <= c <= pi. The start is exact to second order in ε,
    and Newton's method gains as many digits again at every step."""
    positive = c > 0
    c = jnp.where(positive, c, 1)
    ε = jnp.cbrt(0.75 * c)
    for _ in range(4):
        ε = ε - (2 * ε - jnp.sin(2 * ε) - c) / (4 * jnp.sin(ε) ** 2)
    return jnp.where(positive, ε, 0)
