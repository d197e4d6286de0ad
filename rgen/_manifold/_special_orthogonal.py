import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._numerics import asinc_sq, cosc_sq, safe_norm, sinc_sq
from .._typing import BoolScalar, Floating, Key, Point, Scalar, Tangent, typed
from ._base import AbstractEmbeddedManifold


class SpecialOrthogonal(AbstractEmbeddedManifold):
    r"""The rotations of $\mathbb R^n$,
    $SO(n) = \{R : R^\top R = I, \det R = 1\}$, with the metric
    $\langle u, v\rangle = \tfrac12 \mathrm{tr}(u^\top v)$.

    A point is a matrix of shape `(n, n)`, and a tangent vector at $R$ a matrix
    $R\,\Omega$ with $\Omega$ skew-symmetric. For `n = 3` all methods are closed forms
    through the unit quaternion of a rotation, and the distance is the rotation angle of
    $R_1^\top R_2$, at most $\pi$; the coefficients that
    [`frame`][rgen.AbstractManifold.frame] takes are then those of the axis-angle
    vector in the body frame. For `n = 2` they are closed forms too. For larger `n`,
    `exp` is a matrix exponential and `log` is computed by inverse scaling and squaring;
    it is not meant for points on the cut locus to within rounding.

    **Arguments:**

    - `n`: the size of the matrices, at least 2.
    """

    n: int = eqx.field(static=True)

    @typed
    def __init__(self, n: int):
        self.n = n

    def __check_init__(self):
        if self.n < 2:
            raise ValueError(
                f"SpecialOrthogonal: expected `n` of at least 2, got {self.n}."
            )

    @property
    def dim(self) -> int:
        return self.n * (self.n - 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def metric_scale(self) -> float:
        return 0.5

    @property
    def log_volume(self) -> float:
        # SO(k + 1) / SO(k) is the unit sphere S^k.
        sphere = lambda k: (
            math.log(2) + (k + 1) / 2 * math.log(math.pi) - math.lgamma((k + 1) / 2)
        )
        return sum(sphere(k) for k in range(1, self.n))

    @property
    def spectral_gap(self) -> float:
        return float(self.n - 1)

    @property
    def killing_size(self) -> int:
        return self.dim

    @property
    def origin(self) -> Point:
        return jnp.eye(self.n)

    def _exp(self, x: Point, v: Tangent) -> Point:
        step = x @ _rotation(x.T @ v)
        return _newton_schulz(step, 1)

    def _log(self, x: Point, y: Point) -> Tangent:
        return x @ _log_rotation(_turn(x, y))

    def _dist(self, x: Point, y: Point) -> Scalar:
        if self.n == 3:
            cos, sin = quaternion(_turn(x, y))
            return 2 * jnp.arctan2(safe_norm(sin), cos)
        return safe_norm(_log_rotation(_turn(x, y))) / math.sqrt(2)

    def _project(self, x: Point) -> Point:
        # From a matrix that is too large, as a trial step of a solver may be, the
        # iteration diverges.
        size = jnp.sqrt(jnp.linalg.norm(x.T @ x)) / self.n**0.25
        return _newton_schulz(x / size, 5)

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return (v - x @ v.T @ x) / 2

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        half = _rotation(_log_rotation(_turn(x, y)) / 2)
        return y @ half.T @ (x.T @ v) @ half

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        error = jnp.max(jnp.abs(x.T @ x - jnp.eye(self.n, dtype=x.dtype)))
        return (error <= atol) & (jnp.linalg.det(x) > 0)

    def _frame(self, x: Point, z: Array) -> Tangent:
        return x @ _hat(self.n, z)

    def _basis(self, x: Point) -> Array:
        axes = jnp.eye(self.dim, dtype=x.dtype)
        return jax.vmap(lambda z: self._frame(x, z))(axes)

    def _killing(self, x: Point, a: Array) -> Tangent:
        return self._frame(x, a)

    def _features(self, x: Point) -> Array:
        return jnp.ravel(x)

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        skew = x.T @ v
        if self.n == 2:
            return jnp.zeros((), x.dtype)
        if self.n == 3:
            return 2 * jnp.log(jnp.abs(sinc_sq(jnp.sum(skew * skew) / 8)))
        # det of (1 - exp(-ad)) / ad, read off the exponential of a block matrix.
        axes = jax.vmap(lambda z: _hat(self.n, z))(jnp.eye(self.dim, dtype=x.dtype))
        brackets = jax.vmap(lambda e: skew @ e - e @ skew)(axes)
        ad = jnp.einsum("iab,jab->ij", axes, brackets) / 2
        eye, zero = jnp.eye(self.dim, dtype=x.dtype), jnp.zeros_like(ad)
        block = jax.scipy.linalg.expm(jnp.block([[-ad, eye], [zero, zero]]))
        return jnp.linalg.slogdet(block[: self.dim, self.dim :])[1]

    def _uniform(self, key: Key) -> Point:
        q, r = jnp.linalg.qr(jr.normal(key, self.point_shape))
        q = q * jnp.sign(jnp.diagonal(r))
        return q.at[:, 0].multiply(jnp.sign(jnp.linalg.det(q)))


def quaternion(
    rotation: Floating[Array, "3 3"],
) -> tuple[Scalar, Floating[Array, "3"]]:
    r"""The unit quaternion $(\cos\tfrac\omega2, \sin\tfrac\omega2\,a)$ of a rotation by
    the angle $\omega \in [0, \pi]$ about the axis $a$, to rounding error at every
    angle."""
    trace = jnp.trace(rotation)
    vector = jnp.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    eye = jnp.eye(3, dtype=rotation.dtype)
    # 4 q q^T; the column with the largest diagonal entry is the safe one to read.
    block = rotation + rotation.T + (1 - trace) * eye
    outer = jnp.block(
        [[(1 + trace)[None, None], vector[None]], [vector[:, None], block]]
    )
    q = outer[jnp.argmax(jnp.diagonal(outer))]
    q = q / jnp.sqrt(jnp.sum(q * q))
    q = jnp.where(q[0] < 0, -q, q)
    return q[0], q[1:]


def _turn(x: Point, y: Point) -> Array:
    """The rotation x^T y, the identity to the last bit where `x` and `y` are equal."""
    return jnp.eye(x.shape[0], dtype=x.dtype) + x.T @ (y - x)


def _hat(n: int, z: Array) -> Array:
    """The skew-symmetric matrix with coefficients `z`: for n = 3, that of the cross
    product with `z`."""
    if n == 3:
        a, b, c = z
        o = jnp.zeros_like(a)
        return jnp.array([[o, -c, b], [c, o, -a], [-b, a, o]])
    rows, columns = jnp.triu_indices(n, 1)
    upper = jnp.zeros((n, n), z.dtype).at[rows, columns].set(z)
    return upper - upper.T


def _rotation(skew: Array) -> Array:
    """The matrix exponential of a skew-symmetric matrix."""
    if skew.shape[0] > 3:
        return jax.scipy.linalg.expm(skew)
    s = jnp.sum(skew * skew) / 2
    eye = jnp.eye(skew.shape[0], dtype=skew.dtype)
    return eye + sinc_sq(s) * skew + cosc_sq(s) * (skew @ skew)


def _log_rotation(rotation: Array) -> Array:
    """The skew-symmetric logarithm of a rotation."""
    if rotation.shape == (2, 2):
        sin, cos = rotation[1, 0] - rotation[0, 1], jnp.trace(rotation)
        return _hat(2, -jnp.arctan2(sin, cos)[None])
    if rotation.shape != (3, 3):
        return _log_rotation_by_roots(rotation)
    cos, sin = quaternion(rotation)
    s = jnp.sum(sin * sin)
    close = s < 0.5
    length = safe_norm(jnp.where(close, jnp.ones_like(sin), sin))
    far = jnp.arctan2(length, cos) / length
    return _hat(3, 2 * sin * jnp.where(close, asinc_sq(jnp.where(close, s, 0)), far))


def _log_rotation_by_roots(rotation: Array) -> Array:
    # Four square roots leave angles of at most pi / 16, where eight terms of
    # 2 atanh((Q - I) (Q + I)^-1) are exact.
    eye = jnp.eye(rotation.shape[0], dtype=rotation.dtype)
    root = _polar(eye + rotation)
    for _ in range(3):
        root = _newton_schulz((eye + root) / 2, 6)
    cayley = jnp.linalg.solve((root + eye).T, (root - eye).T).T
    square = cayley @ cayley
    series = jnp.zeros_like(eye)
    for k in reversed(range(8)):
        series = series @ square + eye / (2 * k + 1)
    log = 2**5 * cayley @ series
    return (log - log.T) / 2


def _newton_schulz(x: Array, steps: int) -> Array:
    """The orthogonal factor of a matrix that is nearly orthogonal, by a quadratically
    convergent iteration without inverses."""
    for _ in range(steps):
        x = x @ (3 * jnp.eye(x.shape[0], dtype=x.dtype) - x.T @ x) / 2
    return x


def _polar(x: Array) -> Array:
    """The orthogonal polar factor of a matrix with singular values in (0, 2], by the
    dynamically weighted Halley iteration (Nakatsukasa, Bai and Gygi 2010)."""
    eye = jnp.eye(x.shape[0], dtype=x.dtype)
    x, low = x / 2, 1e-7 if x.dtype == jnp.float32 else 1e-15
    while low < 1 - 1e-15:
        root = (4 * (1 - low**2) / low**4) ** (1 / 3)
        a = math.sqrt(1 + root) + 0.5 * math.sqrt(
            8 - 4 * root + 8 * (2 - low**2) / (low**2 * math.sqrt(1 + root))
        )
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        # By a QR factorisation: I + c x^T x is as ill-conditioned as c is large.
        q, _ = jnp.linalg.qr(jnp.concatenate([math.sqrt(c) * x, eye]))
        rest = (a - b / c) / math.sqrt(c)
        x = b / c * x + rest * q[: len(eye)] @ q[len(eye) :].T
        low = min(low * (a + b * low**2) / (1 + c * low**2), 1.0)
    return x
