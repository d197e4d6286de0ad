"""Array types that the whole library shares, and the runtime checks of its public
functions."""

import collections.abc
import functools
import inspect
import re
import typing
from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    ParamSpec,
    SupportsIndex,
    TypeAlias,
    TypeVar,
)

import jax.numpy as jnp
from jaxtyping import (
    AbstractDtype,
    Array,
    Bool,
    PRNGKeyArray,
    TypeCheckError,
    jaxtyped,
)


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
        try:
            return _checked(function)(*args, **kwargs)
        except TypeCheckError as error:
            refusal = _refusal(function, str(error), args, kwargs)
        raise refusal

    return check_and_call


@functools.cache
def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    from beartype import BeartypeConf, beartype

    # A whole number will do where a float is asked for, as type checkers have it.
    checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
    return jaxtyped(function, typechecker=checker)


def _refusal(
    function: Callable[..., Any], report: str, args: tuple, kwargs: dict[str, Any]
) -> TypeError:
    """The error for an argument of the wrong type, in one sentence, with what to type
    in its place."""
    found = re.search(r"typechecking parameter '(\w+)'", report)
    if found is None:
        # A value that the library itself returns: nothing that a caller could mend.
        return TypeError(report)
    name = found[1]
    arguments = inspect.signature(function).bind(*args, **kwargs).arguments
    where = function.__qualname__
    if "self" in arguments:
        where = f"{type(arguments['self']).__name__}.{function.__name__}"
    annotation = function.__annotations__[name]
    value = arguments[name]
    return TypeError(
        f"{where}: expected `{name}` to be {_described(annotation)}, got "
        f"{_got(value)}.{_remedy(name, annotation, value)}"
    )


_PLAIN = {
    int: "a whole number",
    SupportsIndex: "a whole number",
    float: "a number",
    str: "a string",
    type(None): "None",
}


def _described(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin in _GENERIC:
        return _GENERIC[origin]
    kinds = _kinds(annotation)
    keys = typing.get_args(PRNGKeyArray)
    if set(keys) <= set(kinds):
        rest = [kind for kind in kinds if kind not in keys]
        return " or ".join(["a random key", *map(_described, rest)])
    if len(kinds) > 1:
        return " or ".join(dict.fromkeys(map(_described, kinds)))
    if hasattr(annotation, "dim_str"):
        return _described_array(annotation)
    if isinstance(annotation, type) and annotation.__module__.startswith("rgen"):
        return f"an rgen.{annotation.__name__}"
    return _PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


_GENERIC = {collections.abc.Callable: "a function", tuple: "a tuple"}


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation itself."""
    if typing.get_origin(annotation) in _GENERIC:
        return [annotation]
    return list(typing.get_args(annotation)) or [annotation]


def _described_array(annotation: Any) -> str:
    shape = annotation.dim_str.strip()
    size = "an array" if shape else "a scalar array"
    of_shape = f" of shape ({shape})" if shape not in ("", "...") else ""
    floating = set(annotation.dtypes) == {"float32", "float64"}
    return size + of_shape + (" in float32 or float64" if floating else "")


def _got(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        numpy = "a NumPy array of " if type(value).__module__ == "numpy" else ""
        return f"{numpy}{value.dtype} of shape {value.shape}"
    if isinstance(value, bool | int | float | str):
        return f"the {type(value).__name__} {value!r}"
    return f"a {type(value).__name__}"


def _remedy(name: str, annotation: Any, value: Any) -> str:
    kinds = _kinds(annotation)
    if set(typing.get_args(PRNGKeyArray)) <= set(kinds):
        return " Make one with jax.random.key(0)."
    if not any(hasattr(kind, "dim_str") for kind in kinds):
        return ""
    if isinstance(value, bool | int | float | list | tuple):
        return f" Write jnp.array({name}, float)."
    if type(value).__module__ == "numpy":
        return f" Write jnp.asarray({name}, float)."
    if not jnp.issubdtype(getattr(value, "dtype", float), jnp.floating):
        return f" Write {name}.astype(float)."
    return ""
