"""Checkpoints: the arrays of a pytree in one file, with a description of the rest."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import sys
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ._typing import typed
from ._version import __version__


PathLike: TypeAlias = str | os.PathLike[str]

_FORMAT = "rgen checkpoint 1"
_HEADER, _LEAVES = "header.json", "leaves.eqx"
# Differences that an error names.
_NAMED = 5


@typed
def save(path: PathLike, tree: Any, metadata: Any = None) -> None:
    """Writes the arrays of a pytree to a file, for [`rgen.load`][]: a model, or a
    tuple of the model, its average, the state of the optimiser, the random key and the
    step.

    Beside the arrays the file describes everything else in the tree: classes, static
    fields such as those of a schedule, functions by name, and Python numbers. `load`
    compares them: a step that is to be read again is an array, or in the metadata.

    The file is written whole, or not at all: where writing is cut short, an older file
    of this name stays as it was. It is a zip archive of a JSON header and of arrays as
    Equinox serialises them, random keys included, and it holds no pickle.

    **Arguments:**

    - `path`: the file. Its folder has to exist.
    - `tree`: the pytree. With several processes, one saves arrays that are replicated
        on all; gather sharded arrays first, or save them with
        [Orbax](https://orbax.readthedocs.io).
    - `metadata`: anything that JSON can hold, such as a step and the arguments of a
        model, for [`rgen.load_metadata`][]: it returns keys as strings, and tuples as
        lists.

    **Raises:** a `ValueError` where an array is not on this machine or has a dtype
    that no file of NumPy holds, and where `metadata` cannot be written as JSON; an
    `OSError` where the file cannot be written. Save once before a long training, to see
    it then.
    """
    path = pathlib.Path(path)
    for leaf in jax.tree.leaves(tree):
        _check_array(leaf)
    header = {
        "format": _FORMAT,
        "version": __version__,
        "metadata": metadata,
        "tree": dict(_describe(tree, "", _shape)),
    }
    try:
        text = json.dumps(header)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"save: expected `metadata` to be what JSON can hold, got {metadata!r}: "
            f"{error}. Turn arrays into lists or numbers."
        ) from error
    with _replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_HEADER, text)
        # A gigabyte and more.
        with archive.open(_LEAVES, "w", force_zip64=True) as leaves:
            for leaf in jax.tree.leaves(tree):
                _write(leaves, leaf)


@typed
def load(path: PathLike, like: Any) -> Any:
    """The pytree `like`, with its arrays read from a file that [`rgen.save`][] wrote.

    **Arguments:**

    - `path`: the file.
    - `like`: a pytree of the same structure, made by the same code. Its arrays may be
        `jax.ShapeDtypeStruct`s: `eqx.filter_eval_shape(make_model, key)` takes no
        memory.

    **Returns:** a pytree whose arrays are on the default device.

    **Raises:** a `ValueError` that names what differs where the file holds another tree
    than `like`, such as a network of another size, a schedule with another `v_min` or
    another dtype; where another minor version of rgen wrote it, whose fields may
    compute something else; and where it is damaged or no checkpoint. A
    `FileNotFoundError` where there is no file.
    """
    path = pathlib.Path(path)
    with _opened(path) as archive:
        header = _header(path, archive)
        if _minor(header["version"]) != _minor(__version__):
            raise ValueError(
                f"load: {path} is a checkpoint of rgen {header['version']}, and this "
                f"is {__version__}, where the same arrays may mean something else. "
                "Load it with that version."
            )
        _compare(path, header["tree"], dict(_describe(like, "", _shape)))
        leaves, structure = jax.tree.flatten(like)
        with archive.open(_LEAVES) as file:
            return structure.unflatten(_read(file, leaf) for leaf in leaves)


@typed
def load_metadata(path: PathLike) -> Any:
    """The `metadata` of a file that [`rgen.save`][] wrote, whatever its tree and
    version. Raises as [`rgen.load`][] does where the file is damaged or missing."""
    path = pathlib.Path(path)
    with _opened(path) as archive:
        return _header(path, archive)["metadata"]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


# Files


@contextlib.contextmanager
def _replacing(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` once it is written and on the disk."""
    # Not by `tempfile`, whose files no one else may read.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(
            error.errno, f"save: cannot write ({error.strerror})", str(path)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: pathlib.Path) -> None:
    """Brings a new name to the disk, where the system can."""
    if os.name != "posix":
        return
    # Some file systems do this by themselves, and refuse to be asked.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    # What `zipfile` raises for one changed bit or another.
    errors = EOFError, NotImplementedError, OSError, RuntimeError
    with open(path, "rb") as file:
        try:
            archive = zipfile.ZipFile(file)
            broken = archive.testzip()
        except (zipfile.BadZipFile, zlib.error, *errors) as error:
            raise _damaged(path, str(error)) from error
        if broken is not None:
            raise _damaged(path, f"{broken} has another checksum")
        with archive:
            yield archive


def _header(path: pathlib.Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        header = json.loads(archive.read(_HEADER))
    except (KeyError, json.JSONDecodeError) as error:
        raise _damaged(path, f"no {_HEADER}") from error
    if _LEAVES not in archive.namelist():
        raise _damaged(path, f"no {_LEAVES}")
    if header.get("format") != _FORMAT:
        raise ValueError(
            f"load: {path} has the format {header.get('format')!r}, expected "
            f"{_FORMAT!r}. Load it with the version of rgen that wrote it."
        )
    return header


def _damaged(path: pathlib.Path, what: str) -> ValueError:
    return ValueError(
        f"load: expected {path} to be a file of rgen.save, got one that is damaged or "
        f"something else: {what}. Take an earlier checkpoint."
    )


# Arrays


def _write(file: Any, x: Any) -> None:
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
        # What all processes have, by the copy of this one.
        x = x.addressable_data(0)
    if _is_key(x):
        x = jr.key_data(x)
    if _is_array(x):
        eqx.default_serialise_filter_spec(file, x)


def _read(file: Any, x: Any) -> Any:
    if _is_key(x):
        return jr.wrap_key_data(jnp.load(file), impl=_implementation(x))
    if isinstance(x, np.ndarray) and x.dtype == jnp.bfloat16:
        # NumPy's files do not name it.
        return np.load(file).view(x.dtype)
    return eqx.default_deserialise_filter_spec(file, x) if _is_array(x) else x


def _is_array(x: Any) -> bool:
    arrays = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct
    return isinstance(x, arrays)


def _is_key(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def _implementation(key: Any) -> str:
    """The name of the generator of a key, or of the shape of one."""
    for name in ("threefry2x32", "rbg", "unsafe_rbg"):
        if jax.eval_shape(functools.partial(jr.key, impl=name), 0).dtype == key.dtype:
            return name
    raise ValueError(
        f"load: expected keys of a generator of JAX, got {key.dtype}. Save their "
        "jax.random.key_data."
    )


def _check_array(x: Any) -> None:
    if isinstance(x, jax.Array) and not _readable(x):
        raise ValueError(
            "save: expected arrays that this process can read, got one that is sharded "
            f"over several, {x.aval}. Gather it by jax.experimental.multihost_utils."
            "process_allgather, or save it by Orbax."
        )
    if not _is_array(x) or _is_key(x) or x.dtype == jnp.bfloat16:
        return
    # NumPy has no name for the others of JAX, and pickles objects.
    if np.dtype(x.dtype).kind in "VO":
        raise ValueError(
            f"save: expected numbers of a dtype of NumPy, or bfloat16, got {x.dtype}. "
            "Save x.astype(jnp.bfloat16)."
        )


def _readable(x: jax.Array) -> bool:
    return x.is_fully_addressable or x.is_fully_replicated


# What else is in a tree


def _describe(
    x: Any, path: str, of_array: Callable[[Any], str]
) -> Iterator[tuple[str, str]]:
    """The parts of a pytree by their paths: arrays by `of_array`, and all else by value
    or by name."""
    if _is_array(x):
        yield path, of_array(x)
    elif isinstance(x, eqx.Module):
        yield path, _name(type(x))
        for field in dataclasses.fields(x):
            inner = getattr(x, field.name, None)
            # What is static is no part of the file, and counts by its value.
            of_inner = _text if field.metadata.get("static") else of_array
            yield from _describe(inner, f"{path}.{field.name}", of_inner)
    elif _is_leaf(x):
        yield path, _text(x)
    else:
        children, structure = jax.tree_util.tree_flatten_with_path(
            x, is_leaf=lambda y: y is not x
        )
        yield path, _node(x, structure)
        for keys, child in children:
            inner = path + jax.tree_util.keystr(keys)
            yield from _describe(child, inner, of_array)


def _node(x: Any, structure: Any) -> str:
    name = _name(type(x))
    if isinstance(x, dict | list | tuple):
        return name
    return f"{name} {_text(structure.node_data()[1])}"


def _shape(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}"


def _is_leaf(x: Any) -> bool:
    return x is None or jax.tree_util.all_leaves([x])


def _text(x: Any) -> str:
    """What a value is, the same in every process."""
    if isinstance(x, np.ndarray | jax.Array):
        digest = hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()
        return f"{_shape(x)} {digest[:16]}"
    if isinstance(x, eqx.Module):
        return str(list(_describe(x, "", _text)))
    if isinstance(x, functools.partial):
        parts = x.func, x.args, x.keywords
        return f"partial{_text(parts)}"
    if isinstance(x, tuple | list):
        return f"{_name(type(x))}({', '.join(map(_text, x))})"
    if isinstance(x, dict):
        return f"dict({', '.join(f'{k!r}: {_text(v)}' for k, v in x.items())})"
    if isinstance(x, set | frozenset):
        return f"{_name(type(x))}({', '.join(sorted(map(_text, x)))})"
    if callable(x):
        return _name(x)
    # Not shortened, nor rounded.
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        text = repr(x)
    # The address of an object is another one in every process.
    return text if " at 0x" not in text else _name(type(x))


def _compare_order(path: pathlib.Path, found: list, expected: list) -> None:
    """Arrays are read one after the other."""
    for key, other in zip(expected, found, strict=True):
        if key != other:
            raise ValueError(
                f"load: {path} holds the parts of `like` in another order: `like{key}` "
                f"stands where the file has `like{other}`. Make `like` with the code "
                "that the file was made with."
            )


def _name(x: Any) -> str:
    name = getattr(x, "__qualname__", None) or type(x).__qualname__
    module = getattr(x, "__module__", None) or type(x).__module__
    return name if module == "builtins" else f"{module}.{name}"


def _compare(path: pathlib.Path, found: dict, expected: dict) -> None:
    paths = [*found, *(key for key in expected if key not in found)]
    different = [key for key in paths if found.get(key) != expected.get(key)]
    if not different:
        _compare_order(path, list(found), list(expected))
        return
    words = lambda tree, key: tree.get(key, "nothing")
    named = "; ".join(
        f"`like{key}` is {words(expected, key)}, and in the file {words(found, key)}"
        for key in different[:_NAMED]
    )
    more = len(different) - _NAMED
    rest = f"; and {more} more" if more > 0 else ""
    raise ValueError(
        f"load: {path} holds another tree than `like`: {named}{rest}. Make `like` with "
        "the code and the arguments that the file was made with."
    )
