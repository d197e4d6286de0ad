import math
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array

from ._base import check_size
from ._flat import AbstractFlat


class Euclidean(AbstractFlat):
    r"""Flat space $\mathbb R^d$. A point is a vector of shape `(dim,)`.

    **Arguments:**

    - `dim`: the dimension $d \ge 1$.
    """

    dim: int = eqx.field(static=True)
    compact: ClassVar[bool] = False
    period: ClassVar[float] = math.inf  # pyright: ignore

    def __check_init__(self):
        check_size("Euclidean", "dim", self.dim, 1)

    def _wrap(self, x: Array) -> Array:
        return x
