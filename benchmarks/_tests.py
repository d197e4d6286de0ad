"""Runs tests, and counts them."""

import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from ._versions import ROOT


def run_tests(python: str, arguments: Iterable[str]) -> dict:
    """The number of `cases` that pytest ran with these arguments, that of `failures`,
    the names of those that `failed`, and the `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.xml"
        command = [python, "-m", "pytest", "-q", *arguments, f"--junitxml={report}"]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr)
        seconds = time.perf_counter() - start
        # 1: tests failed. Others are no result.
        if done.returncode not in (0, 1):
            done.check_returncode()
        cases = list(ET.parse(report).getroot().iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = [case.get("name") for case in cases if _failed(case)]
    return {
        "cases": len(cases) - skipped,
        "failures": len(failed),
        "failed": failed,
        "seconds": round(seconds),
    }


def _failed(case: ET.Element) -> bool:
    return any(case.find(kind) is not None for kind in ("failure", "error"))
