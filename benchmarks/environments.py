"""The tests with the oldest versions that pyproject.toml allows, and with the newest,
of each Python: every time in a fresh environment.

    pip install uv
    python -m benchmarks.environments python3.11 python3.12 python3.13
    python -m benchmarks.environments python3.13 --versions oldest -- -m slow

The oldest versions are those of all direct dependencies, extras included, that have a
wheel for the Python. What follows `--` are arguments of pytest. One line of JSON for
each environment, with the versions that decide most.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from ._tests import run_tests
from ._versions import ROOT


RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
PACKAGES = "jax", "equinox", "diffrax", "optax", "numpy"


def run(python: str, versions: str, arguments: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        own = _environment(pathlib.Path(folder), python, versions)
        code = "import platform; print(platform.python_version())"
        return {
            "benchmark": "environments",
            "versions": versions,
            "python": _output([own, "-c", code]),
            **{name: _version(own, name) for name in PACKAGES},
            **run_tests(own, arguments),
        }


def _environment(folder: pathlib.Path, python: str, versions: str) -> str:
    """The interpreter of a fresh environment with the package and all extras."""
    own = str(folder / "venv" / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    install = [*uv, "pip", "install", "-q", "--python", own]
    resolution = ["--resolution", RESOLUTIONS[versions], "--only-binary", ":all:"]
    everything = ["-r", str(ROOT / "pyproject.toml"), "--extra", "dev"]
    for command in (
        [*uv, "venv", "-q", "--python", python, str(folder / "venv")],
        [*install, *resolution, *everything],
        [*install, "--no-deps", "-e", str(ROOT)],
    ):
        subprocess.run(command, check=True)
    return own


def _version(python: str, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _output([python, "-c", code])


def _output(command: list[str]) -> str:
    return subprocess.check_output(command, text=True).strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+", metavar="python", help="interpreters")
    parser.add_argument("--versions", nargs="+", choices=RESOLUTIONS)
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    given = parser.parse_args(arguments[:cut])
    for python in given.pythons:
        for versions in given.versions or RESOLUTIONS:
            line = run(python, versions, arguments[cut + 1 :])
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
