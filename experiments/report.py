"""Writes docs/results.md and docs/results_in_full.md: the templates of
`experiments/page`, filled in from the committed results, `experiments/results/*.jsonl`.

python -m experiments.report
"""

from collections.abc import Callable
from functools import partial

from benchmarks._page import fill

from ._report._bound import bound
from ._report._earth import protocol, settings
from ._report._few_steps import few_steps
from ._report._hyperbolic import hyperbolic
from ._report._lines import ROOT
from ._report._passes import passes
from ._report._rotations import rotations
from ._report._side_chains import side_chains, side_chains_short
from ._report._summary import summary
from ._report._torus import torus


DOCS = ROOT / "docs"
TEMPLATES = ROOT / "experiments" / "page"

# In the order of each page: a template, and what it is filled in with.
PAGES: dict[str, dict[str, Callable[[], dict[str, str]]]] = {
    "results.md": {"summary": summary, "side_chains_short": side_chains_short},
    "results_in_full.md": {
        "introduction": dict,
        "earth": dict,
        "earth_legacy": partial(protocol, "legacy"),
        "earth_distinct": partial(protocol, "distinct"),
        "earth_cells": partial(protocol, "cells"),
        "earth_settings": settings,
        "rotations": rotations,
        "torus": torus,
        "hyperbolic": hyperbolic,
        "side_chains": side_chains,
        "few_steps": few_steps,
        "passes": passes,
        "bound": bound,
    },
}


def page(name: str) -> str:
    sections = PAGES[name].items()
    parts = (fill(TEMPLATES / f"{part}.md", values()) for part, values in sections)
    return "\n\n".join(parts) + "\n"


def main():
    for name in PAGES:
        (DOCS / name).write_text(page(name), "utf-8")
        print(f"written: {DOCS / name}")


if __name__ == "__main__":
    main()
