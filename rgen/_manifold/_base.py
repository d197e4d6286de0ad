import abc
import math
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from .._numerics import safe_sqrt
from .._typing import (
    BoolScalar,
    Floating,
    Key,
    Point,
    Scalar,
    ScalarFunction,
    Tangent,
    VectorField,
    typed,
)
from ._geodesic import solve_geodesic


def check_size(owner: str, name: str, value: Any, least: int, hint: str = "") -> None:
    """Raises a `ValueError` unless `value` is a whole number, a Python integer, of at
    least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(
            f"{owner}: expected `{name}` to be a Python int, got {value!r} of type "
            f"{type(value).__name__}. Write {name}=int({name})."
        )
    if value < least:
        raise ValueError(
            f"{owner}: expected `{name}` of at least {least}, got {value}.{hint}"
        )


def check_manifold_type(owner: str, value: Any) -> Any:
    """`value`, which is required to be a manifold."""
    if not isinstance(value, AbstractManifold):
        raise ValueError(
            f"{owner}: expected a manifold, got {value!r} of type "
            f"{type(value).__name__}. Make one first, such as rgen.Sphere(2)."
        )
    return value


_PRIOR = "the uniform distribution, the prior of rgen.Brownian,"

# What asks for a hook that is optional, for the error where it is absent.
_NEEDED_BY = {
    "_log": "distances, flow matching, the semigroup loss, wrapped normals, Varadhan's "
    "kernel, rgen.DenoisingMultistep and densities of rgen.FlowMap",
    "_transport": "parallel transport and rgen.GeodesicHeun",
    "_killing": "rgen.nn.KillingFrame",
    "_uniform": f"sampling {_PRIOR}",
    "killing_size": "rgen.nn.KillingFrame",
    "log_volume": f"the density of {_PRIOR}",
    "period": "the density of a wrapped normal or of a pushforward by an exponential "
    "chart",
}


class AbstractManifold(eqx.Module):
    r"""A complete, connected Riemannian manifold $\mathcal M$.

    A point is one array of shape `point_shape`, and a tangent vector is an array of the
    same shape: the velocity of a curve of such arrays. Every method takes *one* point;
    map over a batch with `jax.vmap`. The manifold comes first, the point second, the
    tangent third.

    Manifolds hold no arrays, only Python numbers: they hash, compare, and cost nothing
    as fields of other modules.

    **To add a manifold**, derive from the base that fits:
    [`rgen.AbstractLevelSet`][] for an equation, [`rgen.AbstractMetricManifold`][] for a
    metric in coordinates, [`rgen.AbstractMatrixGroup`][] for a group of matrices,
    [`rgen.AbstractFlat`][] for flat space, [`rgen.AbstractEmbeddedManifold`][] where
    you know the projections. Each says which of the hooks below are left to write.
    The public methods are final: they check shapes while they are traced, and call the
    hook of the same name with an underscore. Test the result with
    [`rgen.testing.check_manifold`][].

    **Hooks:**

    - `dim`: the dimension.
    - `point_shape`: the shape of the array that holds a point.
    - `origin`: a marked point, in the default dtype.
    - `compact`: whether the manifold is compact.
    - `_inner(x, u, v)`: the metric.
    - `_connection(x, v, f, df)`: $\nabla_v f$ of a field with value `f` and
      derivative `df` (as an array) along `v`.
    - `_to_tangent(x, v)`: the orthogonal projection to the tangent space.
    - `_project(x)`: the nearest point of the manifold.
    - `_acceleration(x, v)`: that of the geodesic with velocity `v`, as an array
      (default: from `_connection`, in coordinates).
    - `_exp(x, v)`: the exponential map (default: the geodesic equation, solved by
      Diffrax).
    - `_contains(x, atol)`: whether `x` is a point (default: from `_project`).
    - `_features(x)`: what a network reads (default: `x`, ravelled).
    - `_harmonics(x, v, n)`: what it may read besides, waves of the multiples of angles
      from 2 to `n`, damped for noise of the variance `v` (default: none).
    - `_basis(x)`: an orthonormal basis (default: from `_to_tangent` and `_inner`).
    - `noise_shape`, `_frame(x, z)`: a square root of the inverse metric (default:
      from `_basis`).
    - `_sharp(x, a)`: the vector of a covector (default: from `_basis`).
    - `_log_det_exp(x, v)`: the volume distortion of `exp` (default: automatic
      differentiation of `exp`).
    - `_log(x, y)`: the logarithm (default: absent).
    - `_dist(x, y)`: the distance (default: the length of `_log`).
    - `_transport(x, y, v)`: parallel transport (default: absent).
    - `killing_size`, `_killing(x, a)`: Killing fields (default: absent).
    - `log_volume`, `_uniform(key)`: the uniform distribution (default: absent).
    - `spectral_gap`: $\lambda_1$ (default: zero, for not known).
    - `period`: the length of the closed geodesics (default: absent).
    - `is_group`: whether it is a Lie group with a left-invariant `frame` (default:
      `False`).

    What is absent raises a `NotImplementedError` that names the hook and the part of
    rgen that needs it. What is needed for what: the implicit and sliced losses need the
    first eight; Brownian motion also `_uniform` for samples of a model and `log_volume`
    for densities, those of its prior; flow matching, distances and wrapped normals need
    `_log`.
    """

    def __check_init__(self):
        arrays = jax.tree.leaves(eqx.filter(self, eqx.is_array))
        if arrays:
            raise ValueError(
                f"{type(self).__name__}: expected fields of Python numbers, got an "
                f"array of shape {arrays[0].shape}. Take a tuple, "
                "tuple(array.tolist()), and make the array of it where it is used."
            )

    dim: eqx.AbstractVar[int]
    """The dimension."""

    compact: eqx.AbstractVar[bool]
    """Whether the manifold is compact, so that it has a uniform distribution."""

    @property
    @abc.abstractmethod
    def point_shape(self) -> tuple[int, ...]:
        """The shape of the array that holds a point."""

    @property
    @abc.abstractmethod
    def origin(self) -> Point:
        """A marked point, in the default dtype."""

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the coefficients that [`frame`][rgen.AbstractManifold.frame]
        takes: of the Brownian motion that drives a diffusion."""
        return (self.dim,)

    @property
    def is_group(self) -> bool:
        """Whether the manifold is a Lie group, with a `frame` that is left-invariant
        and takes `dim` coefficients."""
        return False

    @property
    def log_volume(self) -> float:
        """The logarithm of the Riemannian volume, in nats; infinite where the manifold
        is not compact."""
        return self._absent("log_volume") if self.compact else math.inf

    @property
    def spectral_gap(self) -> float:
        r"""$\lambda_1$, the smallest positive eigenvalue of $-\Delta$: Brownian motion
        forgets its start as $e^{-\lambda_1 t/2}$. Zero where the manifold is not
        compact, or where it is not known."""
        return 0.0

    @property
    def killing_size(self) -> int:
        """The number of coefficients that [`killing`][rgen.AbstractManifold.killing]
        takes."""
        return self._absent("killing_size")

    @property
    def period(self) -> float:
        """The length of the closed geodesics, where every geodesic is closed and
        simple; infinite where no two geodesics meet twice."""
        return self._absent("period")

    @final
    @typed
    def exp(self, x: Point, v: Tangent) -> Point:
        r"""The exponential map $\exp_x(v)$: where the geodesic that leaves `x` with
        velocity `v` is at time 1."""
        self._check_shapes("exp", x=x, v=v)
        return self._exp(x, v)

    @final
    @typed
    def log(self, x: Point, y: Point) -> Tangent:
        r"""The logarithm $\log_x(y)$: the shortest `v` with $\exp_x(v) = y$.

        On the cut locus of `x` there are several; one of them is returned.
        """
        self._check_shapes("log", x=x, y=y)
        return self._log(x, y)

    @final
    @typed
    def dist(self, x: Point, y: Point) -> Scalar:
        r"""The geodesic distance $d(x, y) = |\log_x(y)|$. Its gradient at `x = y`,
        where it has none, is returned as zero."""
        self._check_shapes("dist", x=x, y=y)
        return self._dist(x, y)

    @final
    @typed
    def inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar:
        r"""The metric, $\langle u, v\rangle_x$."""
        self._check_shapes("inner", x=x, u=u, v=v)
        return self._inner(x, u, v)

    @final
    @typed
    def norm(self, x: Point, v: Tangent) -> Scalar:
        r"""$|v|_x = \sqrt{\langle v, v\rangle_x}$, with gradient zero at `v = 0`."""
        self._check_shapes("norm", x=x, v=v)
        return safe_sqrt(self._inner(x, v, v))

    @final
    @typed
    def project(self, x: Point) -> Point:
        """The point of the manifold that is nearest to the array `x`, for an `x` near
        the manifold."""
        self._check_shapes("project", x=x)
        return self._project(x)

    @final
    @typed
    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        r"""The orthogonal projection of the array `v` onto the tangent space
        $T_x\mathcal M$."""
        self._check_shapes("to_tangent", x=x, v=v)
        return self._to_tangent(x, v)

    @final
    @typed
    def transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        r"""The parallel transport of `v` from `x` to `y` along the geodesic
        $s \mapsto \exp_x(s \log_x(y))$."""
        self._check_shapes("transport", x=x, y=y, v=v)
        return self._transport(x, y, v)

    @final
    @typed
    def contains(self, x: Point, atol: float | None = None) -> BoolScalar:
        """Whether `x` satisfies the equations of the manifold to within `atol`, in
        each entry. False for a point with a NaN. The default is 1e-5 in float32 and
        1e-10 in float64."""
        self._check_shapes("contains", x=x)
        if atol is None:
            atol = 1e-5 if x.dtype == jnp.float32 else 1e-10
        return jnp.all(jnp.isfinite(x)) & self._contains(x, atol)

    @final
    @typed
    def frame(self, x: Point, z: Floating[Array, "..."]) -> Tangent:
        r"""$E(x) z$, linear in the coefficients `z` of shape `noise_shape`, with
        $E E^\top = g^{-1}$: standard normal coefficients give a tangent vector that is
        isotropic, of unit variance in the metric.

        On a Lie group it is the left-invariant frame. Where the manifold is embedded
        isometrically, and has no global frame, it is the projection of ambient noise.
        """
        self._check_shapes("frame", x=x)
        self._check_shape("frame", "z", z, self.noise_shape)
        return self._frame(x, z)

    @final
    @typed
    def basis(self, x: Point) -> Floating[Array, "..."]:
        r"""An orthonormal basis of $T_x\mathcal M$, of shape `(dim, *point_shape)`. It
        need not be continuous in `x`."""
        self._check_shapes("basis", x=x)
        return self._basis(x)

    @final
    @typed
    def killing(self, x: Point, a: Floating[Array, " coefficients"]) -> Tangent:
        r"""$\sum_i a_i K_i(x)$, where the $K_i$ are Killing fields, whose flows are
        isometries. They are free of divergence and span every tangent space."""
        self._check_shapes("killing", x=x)
        self._check_shape("killing", "a", a, (self.killing_size,))
        return self._killing(x, a)

    @final
    @typed
    def features(self, x: Point) -> Floating[Array, " features"]:
        """Coordinates of `x` for a neural network to read: a vector that is a smooth
        function on the manifold, and tells points apart."""
        self._check_shapes("features", x=x)
        return self._features(x)

    @final
    @typed
    def log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        r"""$\log|\det d(\exp_x)_v|$ in orthonormal bases: by how much the exponential
        map changes volume at `v`. Minus infinity at conjugate points."""
        self._check_shapes("log_det_exp", x=x, v=v)
        return self._log_det_exp(x, v)

    @final
    @typed
    def preimages(
        self, x: Point, y: Point, windings: int = 1
    ) -> Floating[Array, "n ..."]:
        r"""The tangent vectors `v` at `x` with $\exp_x(v) = y$ that wind around the
        closed geodesics at most `windings` times in either direction, one a row, the
        logarithm first.

        Where `y` is `x` or, on a sphere, its antipode, whole spheres of vectors end in
        one point, and those along one geodesic stand for all. On a torus or a product
        there are as many as combinations of those of its factors.
        """
        self._check_shapes("preimages", x=x, y=y)
        return self._preimages(x, y, windings)

    @final
    @typed
    def tangent_noise(self, x: Point, key: Key) -> Tangent:
        """A standard normal tangent vector at `x`: isotropic, of unit variance in the
        metric along every direction."""
        self._check_shapes("tangent_noise", x=x)
        return self._frame(x, jr.normal(key, self.noise_shape, x.dtype))

    @final
    @typed
    def uniform(self, key: Key) -> Point:
        """A sample of the uniform distribution, whose density is `exp(-log_volume)`.

        Raises a `ValueError` where the manifold is not compact.
        """
        if not self.compact:
            raise ValueError(
                f"{self} is not compact, so it has no uniform distribution. Use a "
                "wrapped normal, rgen.WrappedNormal, or noise with rgen.Langevin."
            )
        return self._uniform(key)

    @final
    @typed
    def gradient(self, f: ScalarFunction, x: Point) -> Tangent:
        r"""The Riemannian gradient $\nabla f(x)$ of a scalar function, from one reverse
        pass of automatic differentiation."""
        self._check_shapes("gradient", x=x)
        return self._sharp(x, jax.grad(f)(x))

    @final
    @typed
    def covariant_derivative(self, f: VectorField, x: Point, v: Tangent) -> Tangent:
        r"""$\nabla_v f(x)$, the covariant derivative of a vector field along `v`, from
        one forward pass. The field is projected to the tangent space first."""
        self._check_shapes("covariant_derivative", x=x, v=v)
        field = lambda y: self._to_tangent(y, f(y))
        value, derivative = jax.jvp(field, (x,), (v,))
        return self._connection(x, v, value, derivative)

    @final
    @typed
    def divergence(self, f: VectorField, x: Point) -> Scalar:
        r"""$\mathrm{div} f(x) = \sum_i \langle e_i, \nabla_{e_i} f\rangle$ over an
        orthonormal basis, from `dim` forward passes. The field is projected to the
        tangent space first."""
        self._check_shapes("divergence", x=x)
        along = lambda e: self._inner(x, e, self.covariant_derivative(f, x, e))
        return jnp.sum(jax.vmap(along)(self._basis(x)))

    @final
    def _check_shapes(self, method: str, **arrays: Array) -> None:
        for name, array in arrays.items():
            self._check_shape(method, name, array, self.point_shape)

    @final
    def _check_shape(
        self, method: str, name: str, array: Array, shape: tuple[int, ...]
    ) -> None:
        if jaxtyping.config.jaxtyping_disable or array.shape == shape:
            return
        raise ValueError(
            f"{self}.{method}: expected `{name}` to have shape {shape}, got "
            f"{array.shape}. Methods act on one point: map over a batch with jax.vmap."
        )

    @final
    def _absent(self, hook: str) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} defines no `{hook}`, needed for "
            f"{_NEEDED_BY[hook]}. Define it in your class; rgen.AbstractManifold says "
            "what it is."
        )

    @abc.abstractmethod
    def _inner(self, x: Point, u: Tangent, v: Tangent) -> Scalar: ...

    @abc.abstractmethod
    def _project(self, x: Point) -> Point: ...

    @abc.abstractmethod
    def _to_tangent(self, x: Point, v: Tangent) -> Tangent: ...

    @abc.abstractmethod
    def _connection(self, x: Point, v: Tangent, f: Tangent, df: Array) -> Tangent:
        """The covariant derivative along `v` of a field with value `f` and with
        derivative `df` as an array."""

    def _acceleration(self, x: Point, v: Tangent) -> Array:
        """That of the geodesic at `x` with velocity `v`, as an array."""
        return -self._connection(x, v, v, jnp.zeros_like(v))

    def _exp(self, x: Point, v: Tangent) -> Point:
        return self._project(solve_geodesic(self._acceleration, x, v))

    def _log(self, x: Point, y: Point) -> Tangent:
        return self._absent("_log")

    def _dist(self, x: Point, y: Point) -> Scalar:
        v = self._log(x, y)
        return safe_sqrt(self._inner(x, v, v))

    def _transport(self, x: Point, y: Point, v: Tangent) -> Tangent:
        return self._absent("_transport")

    def _contains(self, x: Point, atol: float) -> BoolScalar:
        return jnp.max(jnp.abs(self._project(x) - x)) <= atol

    def _frame(self, x: Point, z: Array) -> Tangent:
        return jnp.tensordot(z, self._basis(x), 1)

    def _basis(self, x: Point) -> Array:
        size = math.prod(self.point_shape)
        spanning = jnp.eye(size, dtype=x.dtype).reshape(size, *self.point_shape)
        if size > self.dim:
            spanning = jax.vmap(lambda a: self._to_tangent(x, a))(spanning)
            spanning = jnp.tensordot(_range(spanning, self.dim), spanning, 1)
        product = lambda u: jax.vmap(lambda v: self._inner(x, u, v))(spanning)
        root = jnp.linalg.cholesky(jax.vmap(product)(spanning))
        rows = solve_triangular(root, spanning.reshape(self.dim, size), lower=True)
        return rows.reshape(self.dim, *self.point_shape)

    def _killing(self, x: Point, a: Array) -> Tangent:
        return self._absent("_killing")

    def _features(self, x: Point) -> Array:
        return jnp.ravel(x)

    def _harmonics(self, x: Point, v: Array, n: int) -> Array:
        return jnp.zeros(0, x.dtype)

    def _log_det_exp(self, x: Point, v: Tangent) -> Scalar:
        push = lambda e: jax.jvp(lambda v: self._exp(x, v), (v,), (e,))
        y, columns = jax.vmap(push, out_axes=(None, 0))(self._basis(x))
        along = lambda e: jax.vmap(lambda c: self._inner(y, e, c))(columns)
        return jnp.linalg.slogdet(jax.vmap(along)(self._basis(y)))[1]

    def _preimages(self, x: Point, y: Point, windings: int) -> Array:
        v = self._log(x, y)
        if math.isinf(self.period):
            return v[None]
        length = safe_sqrt(self._inner(x, v, v))
        at_x = length == 0
        direction = jnp.where(at_x, self._basis(x)[0], v / jnp.where(at_x, 1, length))
        k = jnp.arange(1, windings + 1, dtype=x.dtype)
        turns = self.period * jnp.concatenate([-k, k])
        return jnp.concatenate([v[None], v + jnp.tensordot(turns, direction, 0)])

    def _uniform(self, key: Key) -> Point:
        return self._absent("_uniform")

    def _sharp(self, x: Point, a: Array) -> Tangent:
        """The tangent vector whose inner products are those of the covector `a`."""
        basis = self._basis(x).reshape(self.dim, -1)
        return (jnp.ravel(a) @ basis.T @ basis).reshape(self.point_shape)


def _range(projected: Array, dim: int) -> Array:
    """Coefficients of `dim` combinations that span what `projected` does: locally
    constant, so that the basis made of them is differentiable."""
    rows = jax.lax.stop_gradient(projected).reshape(len(projected), -1)
    return jnp.linalg.eigh(rows @ rows.T)[1][:, -dim:].T


def combinations(choices: list[Array]) -> list[Array]:
    """All ways to take a row of each array, as arrays of equally many rows."""
    rows = np.indices([len(choice) for choice in choices]).reshape(len(choices), -1)
    return [choice[row] for choice, row in zip(choices, rows, strict=True)]
