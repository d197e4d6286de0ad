from functools import singledispatch

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._distribution._base import require
from .._manifold import AbstractManifold, Euclidean, Power, Product
from .._typing import Floating, Point, Scalar, typed
from ._base import AbstractChart


class AffineChart(AbstractChart):
    r"""A change of units: the map $\phi(y) = a + s\,y$ of the Euclidean coordinates of
    a point, entry by entry, that leaves all other coordinates as they are. A point in
    your units is $x = \phi(y)$, and a model is trained on the normalised $y$.

    The chart maps the manifold to itself, $\log|\det \mathrm d\phi| = \sum_i \log s_i$.
    The Euclidean coordinates are those of [`rgen.Euclidean`][], and of such factors of
    a [`rgen.Product`][] or a [`rgen.Power`][], in the order in which they are in a
    point.

    ```python
    rotations, positions = jax.vmap(poses.split)(x)  # in centimetres
    units = rgen.AffineChart(poses, positions.mean(0), positions.std())
    y = jax.vmap(units.to_chart)(x)  # train a score field on these
    model = rgen.Pushforward(units, rgen.ScoreModel(score, process))
    rgen.sample(model, key, 100)  # in centimetres
    rgen.log_prob(model, x)  # the density per cubic centimetre
    ```

    One number for `scale` keeps the isometries of space: noise that is isotropic in
    normalised units is so in yours, of standard deviation $s \sqrt v$ for a small
    variance $v$.

    **Arguments:**

    - `manifold`: Euclidean space, or a product or power with such a factor.
    - `offset`: $a$, in your units, the mean of the data for example: one number, or an
        array of shape `(coordinates,)` with one for each Euclidean coordinate.
    - `scale`: $s > 0$, in your units, the standard deviation of the data for example:
        one number, or an array of shape `(coordinates,)`.

    **Raises:** a `ValueError` where the manifold has no Euclidean coordinates, where a
    shape differs, where an offset is not finite, or a scale not positive and finite.
    """

    manifold: AbstractManifold
    offset: Floating[Array, "..."]
    scale: Floating[Array, "..."]

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        offset: Floating[Array, "..."] | np.ndarray | float,
        scale: Floating[Array, "..."] | np.ndarray | float,
    ):
        count = int(_euclidean(manifold).sum())
        if count == 0:
            raise ValueError(
                "AffineChart: expected a `manifold` with Euclidean coordinates, got "
                f"{manifold}. Leave the chart out: there is nothing to scale."
            )
        dtype = manifold.origin.dtype
        given = {"offset": offset, "scale": scale}
        arrays = {name: jnp.asarray(value, dtype) for name, value in given.items()}
        for name, value in arrays.items():
            if value.shape not in ((), (count,)):
                raise ValueError(
                    f"AffineChart: expected `{name}` to be one number or an array of "
                    f"shape ({count},), one for each Euclidean coordinate of "
                    f"{manifold}, got shape {value.shape}."
                )
        self.manifold = manifold
        self.offset = require(
            jnp.all(jnp.isfinite(arrays["offset"])),
            arrays["offset"],
            "AffineChart: expected `offset` to be finite",
        )
        self.scale = require(
            jnp.all((arrays["scale"] > 0) & (arrays["scale"] < jnp.inf)),
            arrays["scale"],
            "AffineChart: expected `scale` to be positive and finite (a coordinate "
            "that is constant has no spread: leave it out of the points)",
        )

    @property
    def domain(self) -> AbstractManifold:
        """The manifold."""
        return self.manifold

    @typed
    def to_manifold(self, y: Point) -> Point:
        """The point in your units whose normalised one is `y`."""
        self._require_point(y)
        return self._scales(y.dtype) * y + self._filled(self.offset, 0, y.dtype)

    @typed
    def to_chart(self, x: Point) -> Point:
        """The normalised point whose one in your units is `x`."""
        self.manifold._check_shapes("to_chart", x=x)
        return (x - self._filled(self.offset, 0, x.dtype)) / self._scales(x.dtype)

    @typed
    def preimages(self, x: Point) -> Floating[Array, "1 ..."]:
        """`to_chart(x)` alone."""
        return self.to_chart(x)[None]

    @typed
    def log_det(self, y: Point) -> Scalar:
        self._require_point(y)
        return jnp.sum(jnp.log(self._scales(y.dtype)))

    def _require_point(self, y: Point) -> None:
        if y.shape != self.manifold.point_shape:
            raise ValueError(
                f"AffineChart: expected `y` of shape {self.manifold.point_shape}, a "
                f"point of {self.manifold}, got {y.shape}. Map over a batch with "
                "jax.vmap."
            )

    def _scales(self, dtype: jnp.dtype) -> Array:
        return self._filled(self.scale, 1, dtype)

    def _filled(self, value: Array, other: float, dtype: jnp.dtype) -> Array:
        """The value at the Euclidean coordinates of a point, and `other` elsewhere."""
        everywhere = jnp.full(self.manifold.point_shape, other, dtype)
        return everywhere.at[_euclidean(self.manifold)].set(value.astype(dtype))


@singledispatch
def _euclidean(manifold: AbstractManifold) -> np.ndarray:
    """Which entries of a point are Euclidean coordinates."""
    return np.zeros(manifold.point_shape, bool)


@_euclidean.register
def _(manifold: Euclidean) -> np.ndarray:
    return np.ones(manifold.point_shape, bool)


@_euclidean.register
def _(manifold: Product) -> np.ndarray:
    return np.concatenate([_euclidean(m).ravel() for m in manifold.manifolds])


@_euclidean.register
def _(manifold: Power) -> np.ndarray:
    return np.broadcast_to(_euclidean(manifold.manifold), manifold.point_shape)
