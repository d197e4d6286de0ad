import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._check import check_points
from .._errors import require
from .._kernel import AbstractKernel, heat_kernel
from .._manifold import AbstractManifold
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, typed
from ._base import AbstractDistribution, on_manifold
from ._fit import check_fit, maximise_weights


# Centres and points that are evaluated together: what bounds the memory.
_CENTRES, _POINTS = 512, 64
# Variances of a mixture that is fitted.
_VARIANCES = 24


class KernelMixture(AbstractDistribution):
    r"""A mixture of transition kernels that are centred on data,

    $$p(x) = \sum_k w_k \frac1n \sum_{i=1}^n p_{v_k}(x \mid c_i).$$

    All centres share the weights $w_k$ of the variances. The time of a density is
    proportional to `n`; its memory is that of 512 centres, beyond the centres
    themselves. Of many points, `rgen.log_prob(mixture, x, chunk_size=64)` is fastest on
    CPU, where the intermediate values then fit into the cache.

    On a sphere, [`rgen.VonMisesFisherKernel`][] is the cheapest kernel. Made by
    [`fit_kernel_mixture`][rgen.fit_kernel_mixture].

    **Arguments:**

    - `kernel`: a kernel with a density, such as
        [`rgen.heat_kernel`][]`(manifold)`.
    - `centres`: the points $c_i$, of shape `(n, *point_shape)`. They are data and no
        parameters: they get no gradient.
    - `variances`: the accumulated variances $v_k > 0$, of shape `(k,)`.
    - `log_weights`: $\log w_k$, of shape `(k,)`, up to a constant.

    **Raises:** a `ValueError` where a variance is not positive, and those of
    [`rgen.check_points`][] for the centres.
    """

    kernel: AbstractKernel
    centres: Floating[Array, "n ..."]
    variances: Floating[Array, " k"]
    log_weights: Floating[Array, " k"]

    @typed
    def __init__(
        self,
        kernel: AbstractKernel,
        centres: Any,
        variances: Floating[Array, " k"],
        log_weights: Floating[Array, " k"],
    ):
        self.kernel = kernel
        self.centres = check_points(kernel.manifold, centres, "centres")
        self.variances = require(
            jnp.all(variances > 0),
            variances,
            "KernelMixture: expected `variances` to be positive",
        )
        self.log_weights = log_weights

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the kernel."""
        return self.kernel.manifold

    @typed
    def log_prob(self, x: Point) -> Scalar:
        x = on_manifold(self.manifold, x)
        each = _log_components(self.kernel, self.centres, self.variances, x)
        return log_sum_exp(jax.nn.log_softmax(self.log_weights) + each)

    @typed
    def sample(self, key: Key) -> Point:
        centre_key, variance_key, key = jr.split(key, 3)
        centre = self.centres[jr.choice(centre_key, len(self.centres))]
        v = self.variances[jr.categorical(variance_key, self.log_weights)]
        return self.kernel.sample(jax.lax.stop_gradient(centre), v, key)


@typed
def fit_kernel_mixture(
    kernel: AbstractKernel | AbstractManifold,
    train: Any,
    validation: Any,
    min_variance: float,
) -> KernelMixture:
    r"""The kernel mixture that is centred on the training points, and whose weights
    maximise the likelihood of the validation points.

    There are 24 variances, from `min_variance` to 1, evenly spaced in their logarithm.
    The likelihood is concave in the weights, and is maximised by
    expectation-maximisation from equal weights,

    $$w_k \leftarrow w_k D_k, \qquad
    D_k = \frac1m \sum_{j=1}^m \frac{p_k(y_j)}{\sum_l w_l\, p_l(y_j)},$$

    until $\max_k D_k - 1 \le 10^{-3}$. By concavity this bounds how much the mean
    log-likelihood of the $m$ validation points can still rise, in nats.

    This is the baseline for a diffusion model that stops at the accumulated variance
    `min_variance`: both have noise of a standard deviation of $\sqrt{v}$ in each
    direction, which on the Earth is $6371\sqrt v$ km.

    **Arguments:**

    - `kernel`: a kernel with a density, or a manifold, which stands for its
        [`rgen.heat_kernel`][].
    - `train`: points of shape `(n, *point_shape)`: the centres.
    - `validation`: points of shape `(m, *point_shape)`. Copies of training points among
        them pull the weights towards the smallest variance.
    - `min_variance`: the smallest accumulated variance, in the metric's unit of length
        squared, between 0 and 1.

    **Raises:** a `ValueError` where the points are empty or off the manifold or
    `min_variance` is out of range, and a `NotImplementedError` where the kernel has no
    density.
    """
    if isinstance(kernel, AbstractManifold):
        kernel = heat_kernel(kernel)
    train, validation = check_fit(
        "fit_kernel_mixture", kernel.manifold, train, validation, min_variance
    )
    least = math.log(min_variance)
    variances = jnp.exp(jnp.linspace(least, 0, _VARIANCES, dtype=train.dtype))
    log_weights = _fit(kernel, train, validation, variances)
    return KernelMixture(kernel, train, variances, log_weights)


@eqx.filter_jit
def _fit(
    kernel: AbstractKernel,
    train: Floating[Array, "n ..."],
    validation: Floating[Array, "m ..."],
    variances: Floating[Array, " k"],
) -> Floating[Array, " k"]:
    each = lambda y: _log_components(kernel, train, variances, y)
    return maximise_weights(jax.lax.map(each, validation, batch_size=_POINTS))


def _log_components(
    kernel: AbstractKernel,
    centres: Floating[Array, "n ..."],
    variances: Floating[Array, " k"],
    x: Point,
) -> Floating[Array, " k"]:
    """For each variance, the log-density at `x` of the kernels at the centres, all of
    one weight."""
    n = len(centres)
    centres = jax.lax.stop_gradient(centres)
    # Variances on the outside: what does not depend on them is computed once.
    kernels = jax.vmap(jax.vmap(kernel.log_prob, (0, None, None)), (None, None, 0))
    total = lambda block: log_sum_exp(kernels(block, x, variances))
    # Whole blocks, and the rest.
    whole = n // _CENTRES * _CENTRES
    blocks = centres[:whole].reshape(-1, _CENTRES, *centres.shape[1:])
    totals = jax.lax.map(total, blocks)
    if whole < n:
        totals = jnp.concatenate([totals, total(centres[whole:])[None]])
    return log_sum_exp(totals, axis=0) - math.log(n)
