import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._numerics import asinc_sq, log_sphere_volume, safe_norm, sinc_sq, skew
from .._typing import BoolScalar, Floating, Key, Point, Scalar, Tangent
from ._base import check_size
from ._matrix_group import AbstractMatrixGroup, newton_schulz


class SpecialOrthogonal(AbstractMatrixGroup):
    r"""The rotations of $\mathbb R^n$,
    $SO(n) = \{R : R^\top R = I, \det R = 1\}$, with the metric
    $\langle u, v\rangle = \tfrac12 \mathrm{tr}(u^\top v)$.

    A point is a matrix of shape `(n, n)`, and a tangent vector at $R$ a matrix
    $R\,\Omega$ with $\Omega$ skew-symmetric. For `n = 3` all methods are closed forms
    through the unit quaternion of a rotation, and the distance is the rotation angle of
    $R_1^\top R_2$, at most $\pi$; the coefficients that
    [`frame`][rgen.AbstractManifold.frame] takes are then those of the axis-angle
    vector in the body frame. For `n = 2` they are closed forms too. For larger `n`,
    `exp` is a matrix exponential and `log` is computed by inverse scaling and squaring,
    on the cut locus too.

    **Arguments:**

    - `n`: the size of the matrices, at least 2.
    """

    n: int = eqx.field(static=True)
    metric_scale: ClassVar[float] = 0.5

    def __init__(self, n: int):
        check_size("SpecialOrthogonal", "n", n, 2)
        self.n = n

    @property
    def dim(self) -> int:
        return self.n * (self.n - 1) // 2

    @property
    def log_volume(self) -> float:
        # SO(k + 1) / SO(k) is the unit sphere S^k.
        return sum(log_sphere_volume(k) for k in range(1, self.n))

    @property
    def spectral_gap(self) -> float:
        return float(self.n - 1)

    @property
    def period(self) -> float:
        # In higher dimension geodesics need not close.
        return 2 * math.pi if self.n <= 3 else super().period

    def algebra(self, z: Floating[Array, " dim"]) -> Floating[Array, "n n"]:
        """The skew-symmetric matrix with coefficients `z`: for n = 3, that of the cross
        product with `z`."""
        if self.n == 3:
            z = jnp.array([-1, 1, -1], z.dtype) * z[::-1]
        return skew(self.n, z)

    def _log(self, x: Point, y: Point) -> Tangent:
        return x @ _log_rotation(_turn(x, y))

    def _dist(self, x: Point, y: Point) -> Scalar:
        if self.n == 3:
            cos, sin = quaternion(_turn(x, y))
            return 2 * jnp.arctan2(safe_norm(sin), cos)
        if self.n == 2:
            return safe_norm(_log_rotation(_turn(x, y))) / math.sqrt(2)
        return _dist_by_log(x, y)

    def _project(self, x: Point) -> Point:
        # From a matrix that is too large, as a trial step of a solver may be, the
        # iteration diverges.
        size = jnp.sqrt(jnp.linalg.norm(x.T @ x)) / self.n**0.25
        return newton_schulz(x / size, 5)

    def _to_tangent(self, x: Point, v: Tangent) -> Tangent:
        return (v - x @ v.T @ x) / 2

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        error = jnp.max(jnp.abs(x.T @ x - jnp.eye(self.n, dtype=x.dtype)))
        return (error <= atol) & (jnp.linalg.det(x) > 0)

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        if self.n == 2:
            return jnp.zeros((), x.dtype)
        if self.n == 3:
            element = x.T @ v
            return 2 * jnp.log(jnp.abs(sinc_sq(jnp.sum(element * element) / 8)))
        return super()._log_det_exp(x, v)

    def _uniform(self, key: Key) -> Point:
        q, r = jnp.linalg.qr(jr.normal(key, self.point_shape))
        q = q * jnp.sign(jnp.diagonal(r))
        return q.at[:, 0].multiply(jnp.sign(jnp.linalg.det(q)))


@jax.custom_jvp
def _dist_by_log(x: Point, y: Point) -> Scalar:
    return safe_norm(_log_rotation(_turn(x, y))) / math.sqrt(2)


@_dist_by_log.defjvp
def _(primals: tuple[Point, Point], tangents: tuple[Tangent, Tangent]) -> tuple:
    # The derivatives of the logarithm, which are infinite at the cut locus, cancel.
    (x, y), (dx, dy) = primals, tangents
    log = _log_rotation(_turn(x, y))
    dist = safe_norm(log) / math.sqrt(2)
    direction = log / jnp.where(dist > 0, dist, 1)
    return dist, jnp.sum(direction * (y.T @ dy - x.T @ dx)) / 2


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


def _log_rotation(rotation: Array) -> Array:
    """The skew-symmetric logarithm of a rotation."""
    if rotation.shape == (2, 2):
        sin, cos = rotation[1, 0] - rotation[0, 1], jnp.trace(rotation)
        return skew(2, -jnp.arctan2(sin, cos)[None])
    if rotation.shape != (3, 3):
        return _log_rotation_by_roots(rotation)
    cos, sin = quaternion(rotation)
    s = jnp.sum(sin * sin)
    close = s < 0.5
    length = safe_norm(jnp.where(close, jnp.ones_like(sin), sin))
    far = jnp.arctan2(length, cos) / length
    vector = 2 * sin * jnp.where(close, asinc_sq(jnp.where(close, s, 0)), far)
    return SpecialOrthogonal(3).algebra(vector)


def _log_rotation_by_roots(rotation: Array) -> Array:
    # Four square roots leave angles of at most pi / 16, where eight terms of
    # 2 atanh((Q - I) (Q + I)^-1) are exact.
    eye = jnp.eye(rotation.shape[0], dtype=rotation.dtype)
    root = _polar(eye + rotation + _half_turns(rotation))
    for _ in range(3):
        root = newton_schulz((eye + root) / 2, 6)
    cayley = jnp.linalg.solve((root + eye).T, (root - eye).T).T
    square = cayley @ cayley
    series = jnp.zeros_like(eye)
    for k in reversed(range(8)):
        series = series @ square + eye / (2 * k + 1)
    log = 2**5 * cayley @ series
    return (log - log.T) / 2


def _half_turns(rotation: Array) -> Array:
    """A skew-symmetric matrix of the size of rounding errors where the rotation turns
    some plane by nearly pi, and zero elsewhere.

    The square root of the rotation is the orthogonal factor of I + R, which is singular
    at a half turn. With this added the factor is skew-symmetric there, and so a square
    root of -1, in one of the ways that there are: which planes are turned is open.
    """
    n = rotation.shape[0]
    lowest = jnp.linalg.eigvalsh((rotation + rotation.T) / 2)[0]
    # Irrational entries: in no plane that anyone comes up with does it vanish.
    entries = 1 + jnp.sqrt(jnp.arange(2.0, 2 + n * (n - 1) // 2)) % 1
    size = jnp.where(lowest < -0.99, 4 * jnp.finfo(rotation.dtype).eps, 0)
    return jax.lax.stop_gradient(size * skew(n, entries.astype(rotation.dtype)))


def _polar(x: Array) -> Array:
    """The orthogonal polar factor of a matrix with singular values in (0, 2], by the
    dynamically weighted Halley iteration (Nakatsukasa, Bai and Gygi 2010)."""
    eye = jnp.eye(x.shape[0], dtype=x.dtype)
    x, low = x / 2, 1e-8 if x.dtype == jnp.float32 else 1e-17
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
