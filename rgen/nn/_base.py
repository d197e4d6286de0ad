import abc
from typing import Any, final

import equinox as eqx

from .._given import Given
from .._typing import Point, Scalar, Tangent


class AbstractField(eqx.Module):
    r"""A vector field $f(x, t)$ on a manifold that depends on time or, where it was
    made for one, on a condition too, $f(x, t, c)$."""

    @abc.abstractmethod
    def __call__(self, x: Point, t: Scalar, c: Any = None) -> Tangent:
        """The vector at the point `x` and the time `t`, tangent at `x`, given the
        condition `c`."""

    @final
    def given(self, c: Any) -> Given:
        """The field given the condition `c`, a function of a point and a time:
        [`rgen.Given`][]."""
        return Given(self, c)
