import math

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.lax import stop_gradient
from jaxtyping import Array

from .._manifold import Hyperbolic
from .._manifold._hyperbolic import (
    coth_rest_sq,
    divided_ratio_sq,
    log_sinhc_sq,
    sinhc_scaled,
    translate,
)
from .._numerics import safe_norm, safe_sqrt
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel, positive_variance
from ._heat_kernel import heat_kernel


class HyperbolicHeatKernel(AbstractKernel):
    r"""The heat kernel of $\mathbb H^2$ and $\mathbb H^3$, exact to rounding at every
    variance and distance. With $r = d(x_0, x)$ it is

    $$p_v = (2\pi v)^{-3/2}\, \frac{r}{\sinh r}\, e^{-v/2 - r^2/2v}$$

    in dimension 3, and in dimension 2 McKean's integral (1970; both are in Grigor'yan
    and Noguchi, *The heat kernel on hyperbolic space*, 1998),

    $$p_v = \frac{\sqrt 2\, e^{-v/8}}{(2\pi v)^{3/2}}
    \int_r^\infty \frac{s\, e^{-s^2/2v}}{\sqrt{\cosh s - \cosh r}}\, \mathrm ds.$$

    The substitution $s^2 = r^2 + 2 v y^2$ makes its integrand even, analytic and
    positive, and the trapezoidal rule converges exponentially.

    Samples are exact. In dimension 3 the radius is that of a normal vector of $\mathbb
    R^3$ with variance $v$ and mean $v e_1$ (Rogers and Pitman, *Markov functions*,
    1981). In dimension 2, McKean's integral is a mixture: its $s$ is the same with mean
    $\frac v2 e_1$, and given $s$, $\sinh(r/2) = \sqrt{1 - u^2} \sinh(s/2)$ with a
    uniform $u$.

    **Arguments:**

    - `manifold`: hyperbolic space of dimension 2 or 3; another dimension raises a
        `NotImplementedError`.
    """

    manifold: Hyperbolic

    def __check_init__(self):
        if self.manifold.dim not in (2, 3):
            raise NotImplementedError(
                "HyperbolicHeatKernel: expected a `manifold` of dimension 2 or 3, got "
                f"{self.manifold}. Use rgen.RandomWalkKernel(manifold)."
            )

    @typed
    def log_prob(self, x0: Point, x: Point, v: Scalar) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        v = positive_variance("HyperbolicHeatKernel.log_prob", v)
        w = translate(-x0, x)
        sq = jnp.sum(w * w)
        log_prob = _log_prob_2 if self.manifold.dim == 2 else _log_prob_3
        return log_prob(sq, v) - sq / (2 * v)

    @typed
    def score(self, x0: Point, x: Point, v: Scalar) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        v = positive_variance("HyperbolicHeatKernel.score", v)
        w = translate(-x, x0)
        sq = jnp.sum(w * w)
        drift = _drift_2(sq, v) if self.manifold.dim == 2 else coth_rest_sq(sq)
        return self.manifold.frame(x, (1 / v + drift) * w)

    @typed
    def sample(self, x0: Point, v: Scalar, key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        v = positive_variance("HyperbolicHeatKernel.sample", v)
        radius_key, mix_key, direction_key = jr.split(key, 3)
        if self.manifold.dim == 2:
            s = _shifted_radius(v, v / 2, radius_key)
            radius = _mix(s, mix_key)
        else:
            radius = _shifted_radius(v, v, radius_key)
        z = jr.normal(direction_key, x0.shape, x0.dtype)
        return translate(x0, radius * z / jnp.sqrt(jnp.sum(z * z)))


@heat_kernel.register
def _(manifold: Hyperbolic) -> AbstractKernel:
    if manifold.dim in (2, 3):
        return HyperbolicHeatKernel(manifold)
    return heat_kernel.dispatch(object)(manifold)


# Below, sq = r^2. `_log_prob` is the logarithm of p_v without the factor exp(-r^2/2v),
# and `_drift` is -(d/dr log p_v) / r without its part 1/v.


def _log_prob_3(sq: Scalar, v: Scalar) -> Scalar:
    return -1.5 * jnp.log(2 * math.pi * v) - log_sinhc_sq(sq) - v / 2


def _log_prob_2(sq: Scalar, v: Scalar) -> Scalar:
    _, _, weights = _nodes(sq, v)
    mean = jnp.sum(weights) * 2 / math.sqrt(math.pi)
    return jnp.log(mean) - jnp.log(2 * math.pi * v) - v / 8 - log_sinhc_sq(sq) / 2


def _drift_2(sq: Scalar, v: Scalar) -> Scalar:
    # The derivative of McKean's integrand with respect to r^2, at a fixed y: a mean of
    # (sinhc s - sinhc r) / (cosh s - cosh r), which is positive.
    mid, half, weights = _nodes(sq, v)
    ss = (mid + half) ** 2
    small = ss < 1
    near = jax.vmap(divided_ratio_sq)(jnp.where(small, sq, 0), jnp.where(small, ss, 0))
    mid, half = jnp.where(small, 1, mid), jnp.where(small, 0, half)
    r = jnp.where(small, 1, safe_sqrt(sq))
    both = mid * sinhc_scaled(mid * mid, mid) * sinhc_scaled(half * half, half)
    ratio = sinhc_scaled(r * r, r) / both * jnp.exp(-2 * half)
    far = (1 / jnp.tanh(mid) - ratio) / (mid + half)
    ratios = jnp.where(small, near, far)
    return jnp.sum(weights * ratios) / jnp.sum(weights) / 2


# With n nodes the error is exp(-4 pi^2 n / 75) of the integral or less, the worst case
# being r = 0 as v goes to infinity: the poles are at s = 2 pi i, and the nodes then
# fill s < 75. The integrand is cut where it has fallen to exp(-37).
_NODES = 64
_CUT = 37.0


def _nodes(sq: Scalar, v: Scalar) -> tuple[Array, Array, Array]:
    r"""The nodes of McKean's integral over $y$, as $(s + r) / 2$ and $(s - r) / 2$, and
    the values of

    $$e^{-y^2} \left(\frac{(s^2 - r^2) \sinh r}{2 r (\cosh s - \cosh r)}\right)^{1/2}$$

    there times the weights. The second factor is 1 at $s = r$."""
    r = safe_sqrt(sq)
    y = _last_node(r, v) * jnp.arange(_NODES, dtype=sq.dtype) / (_NODES - 1)
    total = safe_sqrt(sq + 2 * v * y * y) + r
    mid, half = total / 2, v * y * y / jnp.where(total > 0, total, 1)
    log_ratio = log_sinhc_sq(sq) - log_sinhc_sq(mid * mid) - log_sinhc_sq(half * half)
    values = jnp.exp(log_ratio / 2 - y * y).at[0].multiply(0.5)
    return mid, half, values * y[1]


def _last_node(r: Scalar, v: Scalar) -> Scalar:
    # The integrand falls as exp(-y^2 - (s - r)/2), a quadratic in `s - r`.
    rate = r / v + 0.5
    gap = 2 * _CUT / (rate + jnp.sqrt(rate**2 + 2 * _CUT / v))
    return stop_gradient(jnp.sqrt(gap * (gap + 2 * r) / (2 * v)))


def _shifted_radius(v: Scalar, mean: Scalar, key: Key) -> Scalar:
    """The length of a normal vector of R^3 with variance `v`, and mean of length
    `mean`: its density is a multiple of s sinh(s mean / v) exp(-s^2/2v)."""
    z = jnp.sqrt(v) * jr.normal(key, (3,), v.dtype)
    return safe_norm(z.at[0].add(mean))


def _mix(s: Scalar, key: Key) -> Scalar:
    """The `r` with sinh(r/2) = sqrt(1 - u^2) sinh(s/2)."""
    tiny = float(jnp.finfo(s.dtype).tiny)
    # 1 - u
    below = jr.uniform(key, (), s.dtype, minval=tiny)
    share = jnp.sqrt(below * (2 - below))
    close = s < 10
    near = 2 * jnp.arcsinh(share * jnp.sinh(jnp.where(close, s, 0) / 2))
    far = share * -jnp.expm1(-s) / 2
    far = s + 2 * jnp.log(far + jnp.sqrt(far * far + jnp.exp(-s)))
    return jnp.where(close, near, far)
