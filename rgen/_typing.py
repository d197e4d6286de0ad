"""Array types that the whole library shares, and the check of them at its door."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from jaxtyping import AbstractDtype, Array, Bool, PRNGKeyArray, jaxtyped


if TYPE_CHECKING:
    # What jaxtyping does for its own dtypes: a type checker sees the array alone.
    from typing import Annotated as Floating
else:

    class Floating(AbstractDtype):
        """The floating-point types that rgen computes in: float32 and float64."""

        dtypes = ["float32", "float64"]  # noqa: RUF012 (jaxtyping reads a list)


Scalar: TypeAlias = Floating[Array, ""]
BoolScalar: TypeAlias = Bool[Array, ""]
# The shape of a point belongs to its manifold, which checks it: see
# `AbstractManifold`. Points, tangents and covectors are told apart by name.
Point: TypeAlias = Floating[Array, "..."]
Tangent: TypeAlias = Floating[Array, "..."]
Key: TypeAlias = PRNGKeyArray

ScalarFunction: TypeAlias = Callable[[Point], Scalar]
VectorField: TypeAlias = Callable[[Point], Tangent]

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def typed(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Checks the arguments of a public function against its annotations when it is
    called, that is, while it is traced. JAXTYPING_DISABLE=1 turns the checks off.

    The checker is made at the first call: making those of all functions at once takes
    longer than importing the whole library.
    """

    @functools.wraps(function)
    def check_and_call(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        return _checked(function)(*args, **kwargs)

    return check_and_call


@functools.cache
def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    from beartype import BeartypeConf, beartype

    # A whole number will do where a float is asked for, as type checkers have it.
    checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
    return jaxtyped(function, typechecker=checker)
