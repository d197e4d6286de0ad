"""Nothing public goes untested: the tables of `helpers.py` are complete."""

import functools
import inspect

import pytest
from helpers import FLOW_LOSSES, KINDS, LOSSES, MAP_LOSSES, WEIGHTS

import rgen


def public_classes():
    modules = rgen, rgen.nn, rgen.symmetry
    values = [value for module in modules for value in vars(module).values()]
    return {value for value in values if isinstance(value, type)}


def is_abstract(cls):
    return cls.__name__.startswith("Abstract")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_public_class_is_in_the_table_of_its_kind(kind):
    public = {c for c in public_classes() if issubclass(c, kind) and not is_abstract(c)}
    made = {type(example) for example in KINDS[kind]()}
    assert public, f"there is no public {kind.__name__}"
    assert made == public, (
        f"missing from the tables of helpers.py: {public - made}; "
        f"in them but not public: {made - public}"
    )


def test_every_public_abstract_class_is_a_kind():
    abstract = {c for c in public_classes() if is_abstract(c)}
    assert not {c for c in abstract if not issubclass(c, tuple(KINDS))}


def test_every_loss_is_in_a_table():
    tables = LOSSES, FLOW_LOSSES, MAP_LOSSES, WEIGHTS
    losses = [f for table in tables for f in table.values()]
    functions = {f.func if isinstance(f, functools.partial) else f for f in losses}
    public = {f for f in vars(rgen.losses).values() if inspect.isfunction(f)}
    assert functions == public
