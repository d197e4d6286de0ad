from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Floating, Key, Point, Tangent, typed
from ._features import FourierFeatures
from ._parametrisation import AbstractParametrisation, Projected
from ._residual import ResidualMLP


class NeuralField(eqx.Module):
    r"""A neural vector field $f(x, v) = P_x\, g(\phi(x, v))$ of a point and the
    variance $v$ of the noise in it: features [`rgen.nn.FourierFeatures`][], a network
    [`rgen.nn.ResidualMLP`][], and a parametrisation $P$ that makes a tangent vector of
    its output. [`rgen.nn.ScoreField`][], [`rgen.nn.FlowField`][] and
    [`rgen.nn.FlowMapField`][] are made of it.

    With an `embedding` it depends on a condition $c$ too: the network is given the
    vector $e(c)$ beside the features.

    Its only parameters are those of the network and of the embedding. It starts as the
    zero field.

    **Arguments:**

    - `manifold`: the manifold.
    - `v_min`, `v_max`: the smallest and the largest variance; for a product whose
        factors have variances of their own, a tuple with one for each factor.
    - `width`, `depth`, `experts`: the size of [`rgen.nn.ResidualMLP`][]. Several
        experts are for the map of a flow to separate modes.
    - `frequencies`, `max_frequency`, `damping`, `harmonics`: of the Fourier features,
        their number, largest scale and damping, and the harmonics of each angle.
    - `parametrisation`: [`rgen.nn.Projected`][], [`rgen.nn.KillingFrame`][] or
        [`rgen.nn.LieAlgebra`][].
    - `embedding`: a function from a condition to a vector, such as
        [`rgen.nn.PointFeatures`][], `eqx.nn.Embedding` for a class, or a network.
    - `condition`: an example of a condition, an array or a pytree of arrays, whose
        shapes all others have.
    - `key`: the random key of the initial weights.
    """

    manifold: AbstractManifold
    parametrisation: AbstractParametrisation
    features: FourierFeatures
    network: ResidualMLP
    embedding: Callable | None
    condition: Any = eqx.field(static=True)

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        v_min: float | tuple[float, ...],
        v_max: float | tuple[float, ...],
        *,
        width: int = 256,
        depth: int = 4,
        experts: int = 1,
        frequencies: int = 128,
        max_frequency: float = 30.0,
        damping: float = 1.0,
        harmonics: int = 1,
        parametrisation: AbstractParametrisation = Projected(),  # noqa: B008
        embedding: Callable | None = None,
        condition: Any = None,
        key: Key,
    ):
        self.manifold = manifold
        self.parametrisation = parametrisation
        self.features = FourierFeatures(
            manifold,
            v_min,
            v_max,
            frequencies,
            max_frequency,
            damping,
            harmonics=harmonics,
        )
        self.embedding = embedding
        self.condition = shapes_of(condition)
        in_size = self.features.out_size + _size(embedding, condition)
        out_size = parametrisation.size(manifold)
        sizes = in_size, out_size, width, depth
        self.network = ResidualMLP(*sizes, experts=experts, key=key)

    @typed
    def __call__(self, x: Point, v: Floating[Array, "..."], c: Any = None) -> Tangent:
        """The vector at the point `x` for the variance `v` and the condition `c`,
        tangent at `x`."""
        check_condition(c, self.condition)
        inputs = self.features(x, v)
        if self.embedding is not None:
            embedded = self.embedding(c).astype(inputs.dtype)
            inputs = jnp.concatenate([inputs, embedded])
        output = self.network(inputs)
        return self.parametrisation(self.manifold, x, output)


Shapes: TypeAlias = tuple[Any, tuple[tuple[int, ...], ...]]


def check_condition(c: Any, expected: Shapes) -> None:
    """Raises a `ValueError` where a condition has other shapes than that of a field."""
    if shapes_of(c) != expected:
        raise ValueError(
            f"field: expected a condition {_words(expected)}, got one "
            f"{_words(shapes_of(c))}. A field with its condition is field.given(c); "
            "the `condition` that it is made with says the shapes."
        )


def check_embedding(embedding: Callable | None, condition: Any) -> None:
    """Raises a `ValueError` where one is given without the other."""
    if (embedding is None) != (condition is None):
        raise ValueError(
            "NeuralField: expected `embedding` and `condition` together, got one of "
            "them. `embedding` maps a condition to a vector, and `condition` is an "
            "example of one."
        )


def shapes_of(condition: Any) -> Shapes:
    leaves, structure = jax.tree.flatten(condition)
    return structure, tuple(jnp.shape(leaf) for leaf in leaves)


def _words(shapes: Shapes) -> str:
    structure, leaves = shapes
    if not leaves:
        return "without arrays"
    return f"of the shape {jax.tree.unflatten(structure, leaves)}"


def _size(embedding: Callable | None, condition: Any) -> int:
    """The length of the vector of a condition."""
    check_embedding(embedding, condition)
    if embedding is None:
        return 0
    shape = eqx.filter_eval_shape(embedding, condition).shape
    if len(shape) != 1:
        raise ValueError(
            "NeuralField: expected `embedding` to map a condition to a vector, got an "
            f"array of shape {shape}. Flatten it with jnp.ravel."
        )
    return shape[0]
