"""Writes docs/results.md: the templates of `experiments/page`, filled in from the
committed results, `experiments/results/*.jsonl`.

python -m experiments.report
"""

from collections.abc import Callable
from functools import partial

from ._report._bound import bound
from ._report._earth import protocol, settings
from ._report._findings import findings
from ._report._hyperbolic import hyperbolic
from ._report._lines import ROOT
from ._report._page import fill
from ._report._passes import passes
from ._report._rotations import rotations
from ._report._torus import torus


PAGE = ROOT / "docs" / "results.md"

# In the order of the page: a template, and what it is filled in with.
SECTIONS: dict[str, Callable[[], dict[str, str]]] = {
    "introduction": findings,
    "earth": dict,
    "earth_legacy": partial(protocol, "legacy"),
    "earth_distinct": partial(protocol, "distinct"),
    "earth_cells": partial(protocol, "cells"),
    "earth_settings": settings,
    "rotations": rotations,
    "torus": torus,
    "hyperbolic": hyperbolic,
    "passes": passes,
    "bound": bound,
}


def page() -> str:
    parts = (fill(name, values()) for name, values in SECTIONS.items())
    return "\n\n".join(parts) + "\n"


def main():
    PAGE.write_text(page(), "utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
