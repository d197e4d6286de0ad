"""Counts the passes through a network while a program runs.

A primitive that returns its argument is put around the network, with rules of its own
for every transformation: each rule leaves behind a note of what kind of pass it is, and
whoever runs the program has the notes counted.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


_COUNTS: Counter[str] = Counter()

_pass_p = Primitive("network_pass")


@_pass_p.def_abstract_eval
def _(x, *, kind, counts, times):
    return x


@_pass_p.def_impl
def _(x, *, kind, counts, times):
    if kind in counts:
        _COUNTS[kind] += times
    return x


def _with_callback(x, *, kind, counts, times):
    def note():
        _COUNTS[kind] += times

    if kind in counts:
        jax.debug.callback(note)
    return x


mlir.register_lowering(_pass_p, mlir.lower_fun(_with_callback, multiple_results=False))


def _jvp(primals, tangents, **params):
    (x,), (dx,) = primals, tangents
    out = _pass_p.bind(x, **params)
    if isinstance(dx, ad.Zero):
        return out, dx
    return out, _pass_p.bind(dx, **{**params, "kind": "tangent"})


ad.primitive_jvps[_pass_p] = _jvp


def _transpose(ct, x, **params):
    if isinstance(ct, ad.Zero):
        return [ct]
    return [_pass_p.bind(ct, **{**params, "kind": "reverse"})]


ad.primitive_transposes[_pass_p] = _transpose


def _batch(args, dims, *, times, **params):
    (x,), (dim,) = args, dims
    return _pass_p.bind(x, times=times * x.shape[dim], **params), dim


batching.primitive_batchers[_pass_p] = _batch


class Counted(eqx.Module):
    """A network whose passes are counted: `forward`, those of `tangent` vectors that
    are carried along, and in `reverse`."""

    network: Callable

    def __call__(self, x: jax.Array) -> jax.Array:
        # Where passes enter: one whose result is not needed is not run, nor counted.
        count = partial(_pass_p.bind, kind="forward", times=1)
        x = count(x, counts=("forward", "tangent"))
        return count(self.network(x), counts=("reverse",))


def passes(f: Callable, *args: Any) -> dict[str, int]:
    """The passes through [`Counted`][] networks while `f(*args)` runs."""
    _COUNTS.clear()
    jax.block_until_ready(f(*args))
    jax.effects_barrier()
    return {kind: _COUNTS[kind] for kind in ("forward", "tangent", "reverse")}
