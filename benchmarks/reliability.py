"""What was tried at the edges, and what held: tests by the thousand, counted.

    python -m benchmarks.reliability
    python -m benchmarks.reliability edges killed_runs

One line of JSON for each campaign: its cases, which are tests, the examples of each,
the number of failures and the seconds. Those of planted faults are written by
`python scripts/planted_faults.py --output benchmarks/results/planted_faults.jsonl`.
"""

import argparse
import json
import sys
from typing import NamedTuple

from ._tests import run_tests


class Campaign(NamedTuple):
    """What is tried, the arguments of pytest that try it, and the examples of each
    test."""

    what: str
    arguments: tuple[str, ...]
    examples: int = 1


THOROUGH = "--hypothesis-profile=thorough"
CAMPAIGNS = {
    "edges": Campaign(
        "steps and, where there is a logarithm, pairs of points on sixteen manifolds",
        ("tests/test_edges.py", THOROUGH),
        1000,
    ),
    "contract": Campaign(
        "the contract of every manifold, and its special points",
        ("tests/test_manifold.py", "tests/test_manifold_points.py",
         "tests/test_surfaces.py"),
    ),
    "mass": Campaign(
        "densities of models, distributions and kernels that integrate to one",
        ("tests", "-k", "integrate or mass_one or total_mass"),
    ),
    "killed_runs": Campaign(
        "trainings that are killed at random steps and go on",
        ("tests/test_checkpoint.py", "-k", "killed"),
    ),
    "damaged_files": Campaign(
        "checkpoints that are cut, changed, of another tree, or on a full disk",
        ("tests/test_checkpoint.py", "-k", "not killed"),
    ),
    "bad_input": Campaign(
        "input that makes no sense", ("tests/test_bad_input.py", "tests/test_typing.py")
    ),
    "downloads": Campaign(
        "downloads that are changed, missing or cut short",
        ("tests/test_datasets.py", "-k", "download or breaks"),
    ),
    "devices": Campaign(
        "batches that are sharded over simulated devices, and over two processes",
        ("tests/test_sharding.py",),
    ),
    "same_answer": Campaign(
        "the same bits whole, in chunks and sharded, and a stored answer",
        ("tests/test_same_answer.py",),
    ),
}  # fmt: skip


def run(name: str) -> dict:
    campaign = CAMPAIGNS[name]
    # Of every marker.
    found = run_tests(sys.executable, [*campaign.arguments, "-m", ""])
    return {
        "benchmark": "reliability",
        "campaign": name,
        "what": campaign.what,
        "cases": found.pop("cases"),
        "examples": campaign.examples,
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaigns", nargs="*", metavar="campaign", help="all of them")
    names = parser.parse_args().campaigns or list(CAMPAIGNS)
    if unknown := set(names) - CAMPAIGNS.keys():
        parser.error(f"expected campaigns out of {list(CAMPAIGNS)}, got {unknown}.")
    for name in names:
        print(json.dumps(run(name)), flush=True)


if __name__ == "__main__":
    main()
