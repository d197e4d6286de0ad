import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
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
    metric_scale: ClassVar[float] = 0.5  # pyright: ignore

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
        if self.n > 3:
            raise NotImplementedError(
                f"which tangent vectors end in one point of {self} is not known: for "
                "n > 3 geodesics need not close. For a density train a model, such as "
                "rgen.ScoreModel; samples need none of it."
            )
        return 2 * math.pi

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
        # Not q.at[:, 0].multiply(...): in a batch of one XLA writes a row of that in
        # place, and takes the determinant again for the next.
        first = jnp.arange(self.n) == 0
        return q * jnp.where(first, jnp.sign(jnp.linalg.det(q)), 1)


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


@jax.custom_jvp
def _log_rotation_by_roots(rotation: Array) -> Array:
    turn = _half_turns(rotation)
    # What is left, without angles near pi.
    rest = rotation @ (jnp.eye(rotation.shape[0]) + turn @ turn - turn)
    return jnp.pi / 2 * turn + _log_by_roots(rest.astype(rotation.dtype))


@_log_rotation_by_roots.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # R^T dR = f(ad) dlog with f of `differential`, which has no inverse at the cut
    # locus: solved by least squares, with a term that bounds the solution there.
    (rotation,), (change,) = primals, tangents
    log = _log_rotation_by_roots(rotation)
    group = SpecialOrthogonal(rotation.shape[0])
    matrix, axes = group.differential(log), group.axes(log)
    bound = jnp.finfo(log.dtype).eps * jnp.eye(group.dim, dtype=log.dtype)
    q, r = jnp.linalg.qr(jnp.concatenate([matrix, bound]))
    wanted = jnp.einsum("iab,ab->i", axes, rotation.T @ change) / 2
    solved = solve_triangular(r, q[: group.dim].T @ wanted)
    return log, jnp.tensordot(solved, axes, 1)


def _half_turns(rotation: Array) -> Array:
    """A skew-symmetric matrix that turns the planes which the rotation turns by angles
    near pi by a quarter, in the same sense, and is zero on the others.

    The planes of an angle of pi to within rounding are chosen among many.
    """
    n, eps = rotation.shape[0], jnp.finfo(rotation.dtype).eps
    # The cosines come in pairs, but for a 1 in odd dimension. Those near -1 are split
    # from the others in the largest gap, so that no pair of planes is mixed.
    cosines, vectors = jnp.linalg.eigh((rotation + rotation.T) / 2)
    pairs = (cosines[0 : n - 1 : 2] + cosines[1:n:2]) / 2
    ends = jnp.array([-0.95, -0.5], pairs.dtype)
    marks = jnp.concatenate([ends[:1], jnp.clip(pairs, *ends), ends[1:]])
    widest = jnp.argmax(jnp.diff(marks))
    near = jnp.repeat(pairs < (marks[widest] + marks[widest + 1]) / 2, 2)
    near = jnp.concatenate([near, jnp.zeros(n % 2, bool)])
    # Irrational entries of the size of rounding errors give pairs to what has none.
    entries = 1 + jnp.sqrt(jnp.arange(2.0, 2 + n * (n - 1) // 2)) % 1
    block = vectors.T @ (rotation - rotation.T) @ vectors / 2
    block = (block - block.T) / 2 + 4 * eps * skew(n, entries.astype(rotation.dtype))
    block = jnp.where(near[:, None] & near, block, 0)
    return vectors @ _skew_factor(block) @ vectors.T


def _skew_factor(skew: Array) -> Array:
    """The orthogonal factor of a skew-symmetric matrix, on the planes that it does not
    take to zero exactly: by a Newton-Schulz iteration that is scaled to bring singular
    values of a rounding error to 1 in the fewest steps. What each step rounds is kept
    skew-symmetric, so that the result is a square root of -1 there in any case."""
    eps = float(jnp.finfo(skew.dtype).eps)
    size = jnp.linalg.norm(skew)
    low = jnp.asarray(eps / 64, skew.dtype)

    def step(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        x, low = state
        scale = jnp.sqrt(3 / (1 + low + low**2))
        grow = lambda x, square: scale * (3 * x - scale**2 * square) / 2
        x = grow(x, x @ x.T @ x)
        return (x - x.T) / 2, jnp.minimum(grow(low, low**3), 1)

    steps = math.ceil(math.log(64 / eps) / math.log(2.59)) + 5
    start = skew / jnp.where(size > 0, size, 1), low
    return jax.lax.fori_loop(0, steps, step, start)[0]


def _log_by_roots(rotation: Array) -> Array:
    # Four square roots leave angles of at most pi / 16, where eight terms of
    # 2 atanh((Q - I) (Q + I)^-1) are exact.
    eye = jnp.eye(rotation.shape[0], dtype=rotation.dtype)
    root = _polar(eye + rotation)
    for _ in range(3):
        root = newton_schulz((eye + root) / 2, 6)
    cayley = jnp.linalg.solve((root + eye).T, (root - eye).T).T
    square = cayley @ cayley
    series = jnp.zeros_like(eye)
    for k in reversed(range(8)):
        series = series @ square + eye / (2 * k + 1)
    log = 2**5 * cayley @ series
    return (log - log.T) / 2


def _polar(x: Array) -> Array:
    """The orthogonal polar factor of a matrix with singular values in [0.2, 2], by the
    dynamically weighted Halley iteration (Nakatsukasa, Bai and Gygi 2010)."""
    eye = jnp.eye(x.shape[0], dtype=x.dtype)
    x, low = x / 2, 0.1
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
