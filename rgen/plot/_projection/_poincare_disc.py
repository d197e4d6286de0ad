from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._manifold import Hyperbolic
from ..._typing import BoolScalar, Floating, typed
from ._base import AbstractProjection, clamp


# A point there is at the distance 7.6 from the origin, where its array in float32 still
# tells it from its neighbours by 1e-4.
_RIM = 0.999


class PoincareDisc(AbstractProjection):
    r"""The hyperbolic plane in the unit disc: the point at the distance $r$ from the
    origin in the direction $n$ is at $\tanh(r / 2)\, n$. Angles are right, and lengths
    shrink towards the rim, by $(1 - |u|^2) / 2$ at $u$.

    A log-density on this map is, as everywhere in rgen, that with respect to the
    hyperbolic volume. For the density per area of the picture add
    $2 \log(2 / (1 - |u|^2))$.

    The frame has circles at the distances 1, 2 and 3 from the origin, and the geodesics
    through it at every 30 degrees. Pixels beyond $|u| = 0.999$ have the value there.
    """

    manifold: ClassVar[Hyperbolic] = Hyperbolic(2)  # pyright: ignore

    @property
    def semi_axes(self) -> tuple[float, float]:
        return 1.0, 1.0

    @typed
    def forward(
        self, x: Floating[Array, "2"]
    ) -> tuple[Floating[Array, "2"], BoolScalar]:
        return self.manifold.to_poincare(x), jnp.array(True)

    @typed
    def inverse(self, uv: Floating[Array, "2"]) -> Floating[Array, "2"]:
        return self.manifold.from_poincare(clamp(uv, (_RIM, _RIM)))

    def graticule(self) -> list[Float[np.ndarray, "_ 2"]]:
        """Circles around the origin, and geodesics through it."""
        angles = np.deg2rad(np.arange(361))
        directions = np.stack([np.cos(angles), np.sin(angles)], 1)
        along = np.linspace(0.25, 9, 100)[:, None]
        return [r * directions for r in (1, 2, 3)] + [
            along * n for n in directions[:360:30]
        ]
