"""Writes docs/results.md from the committed results, `experiments/results/*.jsonl`.

python -m experiments.report
"""

from ._report._bound import bound
from ._report._earth import earth
from ._report._hyperbolic import hyperbolic
from ._report._lines import ROOT
from ._report._passes import passes
from ._report._rotations import rotations
from ._report._torus import torus


PAGE = ROOT / "docs" / "results.md"

INTRODUCTION = """# Results

What the models of rgen do in the experiments of De Bortoli et al. 2022, beside the
numbers that were published. Every measured number in the tables is from a line of JSON
in `experiments/results`, and the tables are made of those lines:

    python -m experiments.report

Likelihoods are in nats. Intervals of rgen's numbers are those of 95 %, by Student's
distribution over the seeds, of which the number is in brackets; those of published
numbers are as they were printed. A cell without a number has not been run, or has none
in the paper. Core-minutes are wall-clock time times cores, with compilation and the
choice of a model on validation, on machines of several speeds: that one number is twice
another means little. The splits of one data set overlap, so that intervals are too
narrow for new data; and differences of two methods on the same splits vary less than
either."""


def page() -> str:
    sections = earth, rotations, torus, hyperbolic, passes, bound
    parts = [INTRODUCTION, *(part for section in sections for part in section())]
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    PAGE.write_text(page(), "utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
