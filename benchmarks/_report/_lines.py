"""The committed lines of the benchmarks."""

import pathlib
from collections import defaultdict
from collections.abc import Callable

from .._results import Results
from ..earth import RESOLUTION, default_setting
from ..rotations import METHODS, STEPS as ROTATIONS_STEPS


ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"

# What tells the lines of a file apart, and what a line of the default settings has.
CASES: dict[str, tuple[tuple[str, ...], Callable[[dict], dict]]] = {
    "earth": (
        ("method", "dataset", "protocol", "seed"),
        lambda line: {
            "steps": None,
            "resolution": RESOLUTION,
            "setting": default_setting(line["dataset"], line["protocol"])._asdict(),
        },
    ),
    "earth_resolutions": (
        ("method", "dataset", "protocol", "seed", "resolution"),
        lambda line: {
            "steps": None,
            "setting": default_setting(
                line["dataset"], line["protocol"], line["resolution"]
            )._asdict(),
        },
    ),
    "rotations": (
        ("method", "components", "seed"),
        lambda line: {"steps": ROTATIONS_STEPS, "setting": METHODS[line["method"]][1]},
    ),
    "torus": (("method", "dim", "seed"), lambda _: {"steps": 6000}),
    "hyperbolic": (("method", "seed"), lambda _: {"steps": None}),
    "passes": (("method",), lambda _: {"steps": 1000}),
    "wasserstein_bound": (
        ("manifold", "sweep", "time", "steps", "error"),
        lambda _: {},
    ),
}


def lines(name: str) -> list[dict]:
    """The lines of a file, one for each case, all of them of the default settings."""
    fields, default = CASES[name]
    path = RESULTS / f"{name}.jsonl"
    found = Results(str(path), fields).lines
    for line in found:
        settings = default(line)
        if any(line.get(field) != value for field, value in settings.items()):
            raise ValueError(
                f"{path}: expected a line with {settings}, got {line}. Keep those of "
                "other settings elsewhere."
            )
    return found


def grouped(name: str, *fields: str) -> dict[tuple, list[dict]]:
    groups = defaultdict(list)
    for line in lines(name):
        groups[tuple(line[field] for field in fields)].append(line)
    return groups


def values(group: list[dict], field: str) -> list[float]:
    """Those that there are: a sampler may have given up."""
    return [line[field] for line in group if line.get(field) is not None]
