"""The committed lines of the experiments."""

import pathlib
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from .. import (
    earth,
    few_steps,
    hyperbolic,
    map_losses,
    passes,
    rotations,
    side_chains,
    solver_errors,
    torus,
    wasserstein_bound,
)
from .._results import cases
from .._runner import Experiment


ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"


class File(NamedTuple):
    """The experiment that a file is of, the fields that hold a number, and what a line
    of the default settings has."""

    experiment: Experiment
    numbers: tuple[str, ...]
    default: Callable[[dict], dict] = lambda line: {}


# Those that `experiments._quality` writes, and the time of the training.
QUALITY = (
    "ceiling",
    "log_likelihood",
    "gap",
    "gap_error",
    "mass",
    "density_evaluations",
    "most_density_evaluations",
    "train_seconds",
    "cores",
)
LIKELIHOOD = "test_nll", "train_seconds", "cores"
CONDITIONAL = (
    "conditional_nll",
    "chi1_recovery",
    "chi1_calibration",
    "train_seconds",
    "cores",
)
SAMPLES = (
    "p_value",
    "squared_mmd",
    "biased_mmd",
    "frechet_distance",
    "squared_mmd_floor",
    "biased_mmd_floor",
    "frechet_distance_floor",
    "cores",
)


def earth_default(line: dict) -> dict:
    case = line["dataset"], line["protocol"], line["resolution"]
    return {"steps": None, "setting": earth.default_setting(*case)._asdict()}


def rotations_default(line: dict) -> dict:
    _, size = rotations.METHODS[line["method"]]
    return {"steps": rotations.STEPS, "setting": size}


def side_chains_default(line: dict) -> dict:
    setting = side_chains.RESIDUES[line["residue"]].setting
    least, points = side_chains.MIN_VARIANCE, side_chains.TEST
    return {"min_variance": least, "setting": setting, "points": points}


def few_steps_default(line: dict) -> dict:
    default = {"teacher_steps": few_steps.CASES[line["case"]]().teacher_steps}
    if "map_seconds" in line:
        alone = line["method"] == "map_self_distilled"
        default |= few_steps.distillation(alone, line["case"])
    return default


def map_losses_default(line: dict) -> dict:
    own = map_losses.LOSSES[line["loss"]]
    return {
        "steps": own.longer * map_losses.STEPS,
        "huber_scale": few_steps.setting(own.distil).huber_scale,
        "experts": few_steps.CASES[line["case"]]().experts,
    }


FILES = {
    "earth": File(
        earth.EXPERIMENT,
        LIKELIHOOD,
        lambda line: {"resolution": earth.MIN_VARIANCE, **earth_default(line)},
    ),
    "earth_resolutions": File(earth.EXPERIMENT, LIKELIHOOD, earth_default),
    "rotations": File(rotations.EXPERIMENT, QUALITY, rotations_default),
    "torus": File(
        torus.EXPERIMENT,
        ("nll_per_dim", "gap_error", "step_ms"),
        lambda _: {"steps": 6000},
    ),
    # Runs that are too expensive: only the time of a step is taken from these.
    "torus_times": File(torus.EXPERIMENT, ("step_ms",), lambda _: {"steps": 8}),
    "hyperbolic": File(hyperbolic.EXPERIMENT, QUALITY, lambda _: {"steps": None}),
    "side_chains": File(side_chains.EXPERIMENT, CONDITIONAL, side_chains_default),
    "few_steps": File(
        few_steps.EXPERIMENT,
        SAMPLES,
        few_steps_default,
    ),
    "map_losses": File(
        map_losses.EXPERIMENT,
        ("distance", "median", "two_steps", "step_ms"),
        map_losses_default,
    ),
    "solver_errors": File(solver_errors.EXPERIMENT, ("distance", "median")),
    "passes": File(passes.EXPERIMENT, (), lambda _: {"steps": 1000}),
    "wasserstein_bound": File(wasserstein_bound.EXPERIMENT, ("w1", "noise")),
}


def lines(name: str) -> list[dict]:
    """The lines of a file, one for each case, all of them of the default settings. A
    file without any, or one with a line that is not such, is an error that names it."""
    file, path = FILES[name], RESULTS / f"{name}.jsonl"
    if not path.exists():
        raise ValueError(f"expected the results {path}, got no such file.")
    found = list(cases(path, file.experiment.case).values())
    if not found:
        raise ValueError(f"{path}: expected lines, got none. Is it cut off?")
    for number, line in enumerate(found, 1):
        try:
            expected = file.default(line)
        except KeyError as error:
            raise ValueError(
                f"{path}, line {number}: expected names that are known, got {error} "
                f"in {line}."
            ) from error
        if any(line.get(field) != value for field, value in expected.items()):
            raise ValueError(
                f"{path}, line {number}: expected a line with {expected}, got {line}. "
                "Keep those of other settings elsewhere."
            )
        wrong = [k for k in file.numbers if not isinstance(line.get(k), int | float)]
        if wrong:
            raise ValueError(
                f"{path}, line {number}: expected numbers in {wrong}, got {line}."
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
