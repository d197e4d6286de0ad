"""The layout of the package is the table in CONTRIBUTING.md."""

import ast
import pathlib
import re

import pytest


ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "rgen"


def layers():
    """The folders and modules of the package, row by row."""
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("Beside the package")[0]
    cells = re.findall(r"^\| (`[^|]*`) \|", table, flags=re.MULTILINE)
    return [re.findall(r"`(\w+)`", cell) for cell in cells]


LAYERS = layers()
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}


def imports(file):
    """The parts of the package that a file imports from."""
    place = file.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = place[: len(place) - node.level]
        path = [*base, *(node.module or "").split(".")]
        names = [path[1]] if path[1:2] != [""] else [a.name for a in node.names]
        yield from names


def test_the_table_has_every_part_of_the_package():
    parts = {
        p.stem
        for p in PACKAGE.iterdir()
        if not p.name.startswith("__") and p.name != "py.typed"
    }
    assert set(RANK) == parts


@pytest.mark.parametrize("part", RANK)
def test_a_part_imports_from_the_rows_above_it(part):
    place = PACKAGE / part
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    for file in files:
        for other in imports(file):
            allowed = other == part or RANK[other] < RANK[part]
            same_row = RANK[other] == RANK[part]
            assert allowed or same_row, f"{file.relative_to(ROOT)} imports {other}"


@pytest.mark.parametrize(
    ("folder", "stranger"),
    [
        ("rgen", "experiments"),
        ("rgen", "benchmarks"),
        ("rgen", "tests"),
        ("benchmarks", "experiments"),
    ],
)
def test_no_imports_from_beside_the_package(folder, stranger):
    pattern = re.compile(rf"^\s*(from|import) {stranger}\b", flags=re.MULTILINE)
    for file in (ROOT / folder).rglob("*.py"):
        assert not pattern.search(file.read_text("utf-8")), file
