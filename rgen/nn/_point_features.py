import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._numerics import sin_cos
from .._typing import Floating, Point, typed
from ._features import normal_frequencies


class PointFeatures(eqx.Module):
    r"""Features of a point $c$ of a manifold that is a condition: its own features
    $\phi(c)$, and $\sin(w \cdot \phi)$ and $\cos(w \cdot \phi)$ with normal
    frequencies $w$ whose scales are spread log-uniformly from 1 to `max_frequency`.

    Numbers are points of [`rgen.Euclidean`][]: bring them to a size of about one.

    The frequencies are fixed by `size` and `seed`. They are no parameters, and are not
    trained.

    **Arguments:**

    - `manifold`: the manifold of the condition, which may be another one than that of
        the field.
    - `size`: the number of frequencies. 0 leaves them out.
    - `max_frequency`: the largest scale. Changes over $1/w$ in the units of $\phi$ are
        resolved.
    - `seed`: the seed of the frequencies.
    """

    manifold: AbstractManifold
    size: int = eqx.field(static=True, default=32)
    max_frequency: float = eqx.field(static=True, default=4.0)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.size < 0 or not self.max_frequency >= 1:
            raise ValueError(
                "PointFeatures: expected `size` of at least 0 and `max_frequency` of "
                f"at least 1, got {self.size} and {self.max_frequency}."
            )

    @typed
    def __call__(self, c: Point) -> Floating[Array, " features"]:
        """The features of the point `c`, a vector."""
        phi = self.manifold.features(c)
        shape = (self.size, phi.size)
        frequencies = normal_frequencies(shape, self.max_frequency, self.seed)
        sin, cos = sin_cos(phi @ jnp.asarray(frequencies.T, phi.dtype))
        return jnp.concatenate([phi, sin, cos])
