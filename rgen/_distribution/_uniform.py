import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractDistribution


class Uniform(AbstractDistribution):
    r"""The uniform distribution on a compact manifold, of density
    $p(x) = 1/\mathrm{vol}(\mathcal M)$.

    Samples have the default dtype. Raises a `ValueError` where the manifold is not
    compact.

    **Arguments:**

    - `manifold`: a compact manifold.
    """

    manifold: AbstractManifold

    def __check_init__(self):
        if not self.manifold.compact:
            raise ValueError(
                f"Uniform: expected `manifold` to be compact, got {self.manifold}, "
                "whose volume is infinite. Use rgen.WrappedNormal."
            )

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        # The first term is zero, but for a NaN.
        return 0 * jnp.sum(x) - self.manifold.log_volume

    @typed
    def sample(self, key: Key) -> Point:
        return self.manifold.uniform(key)
