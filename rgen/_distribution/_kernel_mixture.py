import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Shaped

from .._kernel._von_mises_fisher import log_normaliser
from .._manifold import Sphere
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution, on_manifold, require
from ._fit import BANDWIDTHS, check_fit, maximise_weights
from ._von_mises_fisher import VonMisesFisher


# Centres and points per pass: what bounds the memory.
_BLOCK = 512


class KernelMixture(AbstractDistribution):
    r"""A mixture of von Mises-Fisher laws on $S^2$, centred on data:

    $$p(x) = \sum_{k} w_k \frac1n \sum_{i=1}^n
    \frac{\kappa_k\, e^{-\kappa_k |x - c_i|^2/2}}{2\pi (1 - e^{-2\kappa_k})}.$$

    All centres share the weights $w_k$ of the concentrations. The cost of a density is
    proportional to `n`; memory is not, beyond the centres themselves.

    Made by [`fit_kernel_mixture`][rgen.fit_kernel_mixture].

    **Arguments:**

    - `centres`: the points $c_i$, of shape `(n, 3)`.
    - `concentrations`: $\kappa_k \ge 0$, of shape `(k,)`. A negative one is an error.
    - `log_weights`: $\log w_k$, of shape `(k,)`, up to a constant.
    """

    centres: Floating[Array, "n 3"]
    concentrations: Floating[Array, " k"]
    log_weights: Floating[Array, " k"]

    @typed
    def __init__(
        self,
        centres: Floating[Array, "n 3"],
        concentrations: Floating[Array, " k"],
        log_weights: Floating[Array, " k"],
    ):
        self.centres = centres
        self.concentrations = require(
            jnp.all(concentrations >= 0),
            concentrations,
            "KernelMixture: expected `concentrations` to be at least 0",
        )
        self.log_weights = log_weights

    @property
    def manifold(self) -> Sphere:
        """The sphere $S^2$."""
        return Sphere(2)

    @typed
    def log_prob(self, x: Point) -> Scalar:
        x = on_manifold(self.manifold, x)
        each = _log_kernels(self.centres, self.concentrations, x)
        return log_sum_exp(jax.nn.log_softmax(self.log_weights) + each)

    @typed
    def sample(self, key: Key) -> Point:
        centre_key, bandwidth_key, key = jr.split(key, 3)
        centre = self.centres[jr.choice(centre_key, len(self.centres))]
        index = jr.categorical(bandwidth_key, self.log_weights)
        return VonMisesFisher(centre, self.concentrations[index]).sample(key)


@typed
def fit_kernel_mixture(
    train: Shaped[Array | np.ndarray, "train 3"],
    validation: Shaped[Array | np.ndarray, "validation 3"],
    resolution: float,
) -> KernelMixture:
    r"""The kernel mixture centred on the training points, whose weights maximise the
    likelihood of the validation points.

    There are 24 concentrations, from 1 to `1 / resolution`, evenly spaced in their
    logarithm. The likelihood is concave in the weights, and maximised by
    expectation-maximisation from equal weights,

    $$w_k \leftarrow w_k D_k, \qquad
    D_k = \frac1m \sum_{j=1}^m \frac{p_k(y_j)}{\sum_l w_l\, p_l(y_j)},$$

    until $\max_k D_k - 1 \le 10^{-3}$. By concavity this bounds how much the mean
    log-likelihood of the $m$ validation points can still rise, in nats.

    With $\kappa = 1/t$ the narrowest kernel has the variance $t$ of the heat kernel at
    time $t$ in each direction, of which it is the limit for small $t$. So this is the
    baseline for a diffusion model that stops at the accumulated variance
    `resolution`: both blur by $\sqrt t$ radians, which on the Earth is
    $6371\sqrt t$ km.

    **Arguments:**

    - `train`: unit vectors, of shape `(n, 3)`: the centres.
    - `validation`: unit vectors, of shape `(m, 3)`. Copies of training points among
        them pull the weights towards the narrowest kernel.
    - `resolution`: the accumulated variance $t$, in square radians, between 0 and 1.

    **Raises:** a `ValueError` where the points are empty or off the sphere, or the
    resolution is out of range.
    """
    train, validation = check_fit(
        "fit_kernel_mixture", Sphere(2), train, validation, resolution
    )
    narrowest = -math.log(resolution)
    concentrations = jnp.exp(jnp.linspace(0, narrowest, BANDWIDTHS, dtype=train.dtype))
    log_weights = _fit(train, validation, concentrations)
    return KernelMixture(train, concentrations, log_weights)


@jax.jit
def _fit(
    train: Floating[Array, "n 3"],
    validation: Floating[Array, "m 3"],
    concentrations: Floating[Array, " k"],
) -> Floating[Array, " k"]:
    each = lambda y: _log_kernels(train, concentrations, y)
    return maximise_weights(jax.lax.map(each, validation, batch_size=_BLOCK))


def _log_kernels(
    centres: Floating[Array, "n 3"], concentrations: Floating[Array, " k"], x: Point
) -> Floating[Array, " k"]:
    """For each concentration, the log-density at `x` of equal laws at the centres."""
    # What is taken out of the exponents cancels, in the gradient too.
    nearest = jax.lax.stop_gradient(jnp.min(_half_squares(centres, x)))
    excess = lambda block: _half_squares(block, x) - nearest
    total = lambda block: jnp.sum(
        jnp.exp(-concentrations[:, None] * excess(block)), axis=1
    )
    whole = len(centres) // _BLOCK * _BLOCK
    blocks = centres[:whole].reshape(-1, _BLOCK, 3)
    add = lambda sums, block: (sums + total(block), None)
    sums, _ = jax.lax.scan(add, total(centres[whole:]), blocks)
    normalisers = jax.vmap(lambda k: log_normaliser(2, k))(concentrations)
    peak = -concentrations * nearest - math.log(len(centres))
    return jnp.log(sums) + peak - normalisers


def _half_squares(centres: Floating[Array, "n 3"], x: Point) -> Floating[Array, " n"]:
    # By differences: 1 - <x, c> would lose what kappa multiplies.
    return jnp.sum((centres - x) ** 2, axis=1) / 2
