import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._numerics import safe_sqrt
from .._typing import Scalar, typed
from ._two_samples import two_samples


@typed
def frechet_distance(manifold: AbstractManifold, x: Any, y: Any) -> Scalar:
    r"""The Fréchet distance of the samples `x` and `y`: the Wasserstein distance of
    order 2 of two normal distributions, with the means $m$ and the covariances $C$ of
    their [`features`][rgen.AbstractManifold.features],

    $$\sqrt{|m_x - m_y|^2 + \operatorname{tr}\big(C_x + C_y
    - 2 (C_x C_y)^{1/2}\big)}$$

    (Dowson and Landau 1982). On a torus the features are the cosines and the sines of
    the angles.

    It sees two moments of the features and nothing else, which is why it is of use in
    many dimensions. It is not zero for equal distributions: compare it with
    [`rgen.metrics.between_halves`][], for samples of one size. Its rounding error is
    about $\sqrt\epsilon$ times the spread of the features.

    **Arguments:**

    - `manifold`: the manifold.
    - `x`, `y`: samples of the two distributions, at least two of each, of shapes
        `(n, *point_shape)` and `(m, *point_shape)`.

    **Raises:** a `ValueError` where there are too few points, and those of
    [`rgen.check_points`][].
    """
    x, y = two_samples("frechet_distance", manifold, x, y)
    return _frechet_distance(manifold, x, y)


@eqx.filter_jit
def _frechet_distance(manifold: AbstractManifold, x: Array, y: Array) -> Scalar:
    x, y = (jax.vmap(manifold.features)(each) for each in (x, y))
    shift = jnp.mean(x, axis=0) - jnp.mean(y, axis=0)
    # C is R^T R: the trace of the root of the product is a sum of singular values.
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    product = jnp.matmul(root_x, root_y.T, precision="highest")
    overlap = jnp.sum(jnp.linalg.svd(product, compute_uv=False))
    squares = jnp.sum(root_x**2) + jnp.sum(root_y**2) - 2 * overlap
    return safe_sqrt(jnp.sum(shift**2) + jnp.maximum(squares, 0))


def _covariance_root(features: Array) -> Array:
    centred = features - jnp.mean(features, axis=0)
    return jnp.linalg.qr(centred, mode="r") / math.sqrt(len(features) - 1)
