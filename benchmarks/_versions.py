"""Runs one measurement with this version of rgen and with an earlier one, in turns."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator


ROOT = pathlib.Path(__file__).parent.parent
# The last commit of version 0.1.0.
BEFORE = "6647213"


@contextlib.contextmanager
def earlier() -> Iterator[str | None]:
    """A folder with the earlier version of the package; none where the history of the
    repository is not at hand."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", BEFORE, "rgen"], cwd=ROOT, capture_output=True
        )
        if archive.returncode != 0:
            yield None
            return
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield folder


def measure(file: str, folder: str, *arguments: str, **variables: str) -> dict:
    """The line that `python file --once` prints, with the package in a folder and
    further environment variables."""
    environment = {**os.environ, "PYTHONPATH": folder, **variables}
    command = [sys.executable, file, "--once", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    done.check_returncode()
    return json.loads(done.stdout.splitlines()[-1])


def compare(file: str, rounds: int, *arguments: str) -> dict[str, dict]:
    """The medians of `rounds` measurements, `before` and `after`, taken in turns."""
    lines: dict[str, list[dict]] = {}
    with earlier() as before:
        folders = {"before": before, "after": str(ROOT)}
        for _ in range(rounds):
            for when, folder in folders.items():
                if folder is not None:
                    line = measure(file, folder, *arguments)
                    lines.setdefault(when, []).append(line)
    return {when: _medians(each) for when, each in lines.items()}


def _medians(lines: list[dict]) -> dict:
    return {key: statistics.median(line[key] for line in lines) for key in lines[0]}
