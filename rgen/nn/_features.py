import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._manifold import AbstractManifold, Power, Product
from .._numerics import sin_cos
from .._typing import Floating, Point, typed


_HARMONICS = 8


def normal_frequencies(
    shape: tuple[int, int], max_frequency: float, seed: int
) -> np.ndarray:
    """Normal vectors whose scales are spread log-uniformly from 1 to `max_frequency`,
    of shape `(size, length)`."""
    normal = np.random.default_rng(seed).normal(size=shape)
    scales = np.geomspace(1.0, max_frequency, shape[0])
    return scales[:, None] * normal


def levels(
    v: Floating[Array, "..."],
    v_min: float | tuple[float, ...],
    v_max: float | tuple[float, ...],
) -> Floating[Array, " levels"]:
    r"""$\log v$, moved to $[-1, 1]$, and its first eight harmonics."""
    v = jnp.atleast_1d(v)
    low, high = (jnp.log(jnp.array(end, v.dtype)) for end in (v_min, v_max))
    level = 2 * (jnp.log(v) - low) / (high - low) - 1
    harmonics = jnp.arange(1, _HARMONICS + 1) * level[:, None] * (math.pi / 2)
    waves = [jnp.ravel(jnp.sin(harmonics)), jnp.ravel(jnp.cos(harmonics))]
    return jnp.concatenate([level, *waves])


def level_size(v_min: float | tuple[float, ...]) -> int:
    """The length of the vector of levels."""
    return np.size(v_min) * (1 + 2 * _HARMONICS)


class FourierFeatures(eqx.Module):
    r"""Multi-scale features of a point and of the logarithm of the variance $v$ of the
    noise in the point.

    Of the point: its own features $\phi(x)$, and $\sin(w \cdot \phi)$ and
    $\cos(w \cdot \phi)$ with normal frequencies $w$ whose scales are spread
    log-uniformly from 1 to `max_frequency`. Each is damped by
    $e^{-c\, v |w|^2 / 2}$, with $c = 1$ as the noise has damped that scale of the
    density. Of the variance: $\log v$, moved to $[-1, 1]$, and its first eight
    harmonics. Of each angle $\alpha$ of a torus, also where it is a factor:
    $\cos k\alpha$ and $\sin k\alpha$ for $k$ from 2 to `harmonics`, damped by
    $a / \sinh a$ with $a = kv/2$: the score of a wrapped normal of variance $v$ is
    $\sum_k (-1)^k \sin(k\alpha) / \sinh(kv/2)$ around its mean.

    On a product of manifolds, each factor may have a variance of its own: $v |w|^2$ is
    then the sum of $v_i w_i^2$, and there are features of each variance. The copies of
    a power of a product share the variances.

    The frequencies are fixed by `size` and `seed`. They are no parameters, and are not
    trained.

    **Arguments:**

    - `manifold`: the manifold.
    - `v_min`, `v_max`: the smallest and the largest variance, or tuples with one for
        each factor of a product.
    - `size`: the number of frequencies. In many dimensions random ones are of little
        use, and 0 leaves them out.
    - `harmonics`: the number of harmonics of each angle, 1 for those of $\phi$ alone.
        Of few angles a network makes higher ones itself; of many, 64 for instance, it
        does not, and fits the first harmonic of their score alone.
    - `max_frequency`: the largest scale. Features of size $1/w$ in the units of
        $\phi$ are resolved; `1 / sqrt(v_min)` is the finest that the noise leaves.
    - `damping`: the number $c$. Between clumps of data that are far apart, the score
        turns within less than $\sqrt v$, and less damping fits it better; elsewhere it
        lets the network fit noise.
    - `seed`: the seed of the frequencies.
    """

    manifold: AbstractManifold
    v_min: float | tuple[float, ...] = eqx.field(static=True)
    v_max: float | tuple[float, ...] = eqx.field(static=True)
    size: int = eqx.field(static=True, default=128)
    max_frequency: float = eqx.field(static=True, default=30.0)
    damping: float = eqx.field(static=True, default=1.0)
    seed: int = eqx.field(static=True, default=0)
    harmonics: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        ends = zip(np.ravel(self.v_min), np.ravel(self.v_max), strict=True)
        if not all(0 < low < high < math.inf for low, high in ends):
            raise ValueError(
                "FourierFeatures: expected 0 < `v_min` < `v_max`, both finite, got "
                f"v_min={self.v_min} and v_max={self.v_max}."
            )
        if self.size < 0 or not 1 <= self.max_frequency < math.inf:
            raise ValueError(
                "FourierFeatures: expected `size` of at least 0 and a finite "
                f"`max_frequency` of at least 1, got {self.size} and "
                f"{self.max_frequency}."
            )
        if self.harmonics < 1 or (self.harmonics > 1 and not self._harmonics_size):
            raise ValueError(
                "FourierFeatures: expected `harmonics` of at least 1, and of 1 where "
                f"{self.manifold} has no angles, got {self.harmonics}. Random "
                "frequencies, as many as `size`, are for all manifolds."
            )

    @property
    def _harmonics_size(self) -> int:
        m, v = self.manifold, jnp.ravel(jnp.asarray(self.v_max))
        return eqx.filter_eval_shape(m._harmonics, m.origin, v, self.harmonics).size

    @property
    def out_size(self) -> int:
        """The length of the vector of features."""
        waves = 2 * self.size + self._harmonics_size
        return sum(self._in_sizes) + waves + level_size(self.v_min)

    @property
    def _in_sizes(self) -> list[int]:
        """The lengths of the features of the factors that have a variance each, and
        those of all copies of a power."""
        manifold, copies = self.manifold, 1
        if not isinstance(self.v_min, tuple):
            return [_size(manifold)]
        while isinstance(manifold, Power):
            manifold, copies = manifold.manifold, copies * manifold.n
        manifolds = manifold.manifolds if isinstance(manifold, Product) else (manifold,)
        return copies * [_size(m) for m in manifolds]

    @property
    def _frequencies(self) -> np.ndarray:
        shape = (self.size, sum(self._in_sizes))
        return normal_frequencies(shape, self.max_frequency, self.seed)

    @typed
    def __call__(
        self, x: Point, v: Floating[Array, "..."]
    ) -> Floating[Array, " features"]:
        """The features of the point `x` and the variance `v`, of shape `()` or
        `(factors,)`: a vector of `out_size`."""
        phi = self.manifold.features(x)
        v = jnp.atleast_1d(v).astype(phi.dtype)
        frequencies = jnp.asarray(self._frequencies, phi.dtype)
        damping = jnp.exp(-self.damping / 2 * self._damped_sq(v))
        # The order in which a batch of points needs no transposition.
        sin, cos = sin_cos(phi @ frequencies.T)
        level = levels(v, self.v_min, self.v_max)
        harmonics = self.manifold._harmonics(x, v, self.harmonics)
        return jnp.concatenate([phi, damping * sin, damping * cos, harmonics, level])

    def _damped_sq(self, v: Floating[Array, " variances"]) -> Array:
        """$v |w|^2$ for each frequency $w$."""
        ends = np.cumsum([0, *self._in_sizes[:-1]])
        squares = np.add.reduceat(self._frequencies**2, ends, axis=1)
        each = jnp.tile(v, squares.shape[1] // len(v))
        return jnp.asarray(squares, v.dtype) @ each


def _size(manifold: AbstractManifold) -> int:
    """The length of the features of a point."""
    return eqx.filter_eval_shape(manifold.features, manifold.origin).size
