from typing import Any

import equinox as eqx

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, typed
from ._base import AbstractField
from ._neural_field import NeuralField


class FlowField(AbstractField):
    r"""A neural vector field for flows from noise at time 0 to data at time 1: a
    [`rgen.nn.NeuralField`][] of the variance $v(t) = (1 - t)^2 + v_{\min}$, since along
    geodesics from noise to data a point is $1 - t$ of the way from the data.

    **Arguments:**

    - `manifold`: the manifold.
    - `v_min`: the variance at time 1: the square of the finest scale.
    - `width`, `depth`, `experts`, `frequencies`, `max_frequency`, `damping`,
        `harmonics`, `parametrisation`, `embedding`, `condition`, `key`: those of
        [`rgen.nn.NeuralField`][].
    """

    field: NeuralField
    v_min: float = eqx.field(static=True)

    @typed
    def __init__(
        self, manifold: AbstractManifold, *, v_min: float = 1e-4, key: Key, **size: Any
    ):
        if not v_min > 0:
            raise ValueError(
                f"FlowField: expected `v_min` to be positive, got {v_min}. It is the "
                "square of the finest scale."
            )
        self.v_min = v_min
        self.field = NeuralField(manifold, v_min, 1 + v_min, key=key, **size)

    @typed
    def __call__(self, x: Point, t: Scalar, c: Any = None) -> Tangent:
        """The vector at the point `x` and the time `t`, given the condition `c`,
        tangent at `x`."""
        return self.field(x, (1 - t) ** 2 + self.v_min, c)
