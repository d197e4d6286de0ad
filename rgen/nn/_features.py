import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._numerics import sin_cos
from .._typing import Floating, Point, Scalar, typed


_VARIANCE_WAVES = 8


class FourierFeatures(eqx.Module):
    r"""Multi-scale features of a point and of the logarithm of a variance $v$, that of
    the noise in the point.

    Of the point: its own features $\phi(x)$, and $\sin(w \cdot \phi)$ and
    $\cos(w \cdot \phi)$ with normal frequencies $w$ whose scales are spread
    log-uniformly from 1 to `max_frequency`. Each wave is damped by
    $e^{-c\, v |w|^2 / 2}$, with $c = 1$ as the noise has damped that scale of the
    density. Of the variance: $\log v$, moved to $[-1, 1]$, and its first eight
    harmonics.

    The frequencies are fixed by `size` and `seed`. They are no parameters, and are not
    trained.

    **Arguments:**

    - `manifold`: the manifold.
    - `v_min`, `v_max`: the least and the largest variance.
    - `size`: the number of frequencies.
    - `max_frequency`: the largest scale. Features of size $1/w$ in the units of
        $\phi$ are resolved; `1 / sqrt(v_min)` is the finest that there is to see.
    - `damping`: the number $c$. Between clumps of data that are far apart, the score
        turns within less than $\sqrt v$, and less damping fits it better; elsewhere the
        waves that are left fit noise.
    - `seed`: the seed of the frequencies.
    """

    manifold: AbstractManifold
    v_min: float = eqx.field(static=True)
    v_max: float = eqx.field(static=True)
    size: int = eqx.field(static=True, default=128)
    max_frequency: float = eqx.field(static=True, default=30.0)
    damping: float = eqx.field(static=True, default=1.0)
    seed: int = eqx.field(static=True, default=0)

    @property
    def out_size(self) -> int:
        """The length of the vector of features."""
        return self._in_size + 2 * self.size + 1 + 2 * _VARIANCE_WAVES

    @property
    def _in_size(self) -> int:
        return eqx.filter_eval_shape(self.manifold.features, self.manifold.origin).size

    @property
    def _frequencies(self) -> np.ndarray:
        shape = (self.size, self._in_size)
        normal = np.random.default_rng(self.seed).normal(size=shape)
        scales = np.geomspace(1.0, self.max_frequency, self.size)
        return scales[:, None] * normal

    @typed
    def __call__(self, x: Point, v: Scalar) -> Floating[Array, " features"]:
        """The features of the point `x` and the variance `v`, a vector of
        `out_size`."""
        phi = self.manifold.features(x)
        v = v.astype(phi.dtype)
        frequencies = jnp.asarray(self._frequencies, phi.dtype)
        damping = jnp.exp(-self.damping * v / 2 * jnp.sum(frequencies**2, axis=1))
        # The order in which a batch of points needs no transposition.
        sin, cos = sin_cos(phi @ frequencies.T)
        low, high = math.log(self.v_min), math.log(self.v_max)
        level = 2 * (jnp.log(v) - low) / (high - low) - 1
        waves = math.pi / 2 * jnp.arange(1, _VARIANCE_WAVES + 1) * level
        return jnp.concatenate(
            [
                phi,
                damping * sin,
                damping * cos,
                level[None],
                jnp.sin(waves),
                jnp.cos(waves),
            ]
        )
