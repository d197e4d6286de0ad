"""What was tried at the edges, and what held: tests by the thousand, counted.

    python -m benchmarks.reliability
    python -m benchmarks.reliability edges killed_runs

One line of JSON for each campaign: its cases, which are tests, the examples of each,
the number of failures and the seconds. Those of planted faults are written by
`python scripts/planted_faults.py --output benchmarks/results/planted_faults.jsonl`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from typing import NamedTuple

from ._versions import ROOT


class Campaign(NamedTuple):
    """What is tried, the arguments of pytest that try it, and the examples of each
    test."""

    what: str
    arguments: tuple[str, ...]
    examples: int = 1


THOROUGH = "--hypothesis-profile=thorough"
CAMPAIGNS = {
    "edges": Campaign(
        "steps and pairs of points at the edges of sixteen manifolds, in both dtypes",
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
        ("tests", "-k", "integrate or integrates or mass_of_one"),
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
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", *campaign.arguments]
        # Of every marker.
        command += ["-m", "", f"--junitxml={report}"]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr)
        seconds = time.perf_counter() - start
        # 1: tests failed. Others are no result.
        if done.returncode not in (0, 1):
            done.check_returncode()
        cases = list(ET.parse(report).getroot().iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = [case for case in cases if _failed(case)]
    return {
        "benchmark": "reliability",
        "campaign": name,
        "what": campaign.what,
        "cases": len(cases) - skipped,
        "examples": campaign.examples,
        "failures": len(failed),
        "failed": [case.get("name") for case in failed],
        "seconds": round(seconds),
    }


def _failed(case: ET.Element) -> bool:
    return any(case.find(kind) is not None for kind in ("failure", "error"))


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
