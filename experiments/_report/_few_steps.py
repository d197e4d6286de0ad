"""Samples in few network evaluations, and the losses that train the maps."""

import numpy as np

from benchmarks._page import table

from .._published import FEW_STEPS, FEW_STEPS_TORI
from ..few_steps import (
    CASES,
    CURVES,
    EARTH,
    EXPERTS,
    LEVEL,
    MAP_STEPS,
    REGRESSION_STEPS,
    ROTATIONS_TEACHER_STEPS,
    TEACHER_STEPS,
    TORI,
    TORUS_TEACHER_STEPS,
    TRAJECTORIES,
)
from ..map_losses import STEPS
from ..solver_errors import EVALUATIONS, GRIDS
from ._lines import grouped
from ._tables import decimals, interval, mean


NAMES = {
    "ideal": "other data",
    "reverse_sde": "Reverse SDE",
    "multistep": "Multistep solver",
    "geodesic_heun": "Geodesic Heun",
    "munthe_kaas": "Munthe-Kaas, order 3",
    "churn": "Churn",
    "reverse_sde_power": "Reverse SDE, power grid",
    "multistep_log": "Multistep solver, equal steps",
    "multistep_denoised": "Multistep solver, denoised at the end",
    "map": "Map",
    "map_self_distilled": "Map, from data alone",
    "consistency": "Consistency model",
}
# What tables compare: a method and its number of evaluations.
MAPS = [("consistency", 2), ("map", 2), ("map", 1)]
COMPARED = [
    ("ideal", 0),
    ("reverse_sde", 100),
    ("reverse_sde", 10),
    ("multistep", 10),
    *MAPS,
    ("map_self_distilled", 1),
]
SOLVERS = "reverse_sde", "multistep", "geodesic_heun", "munthe_kaas", "churn"
VARIANTS = "reverse_sde_power", "multistep_log", "multistep_denoised"
TITLES = {
    "volcano": "Volcanoes",
    "earthquake": "Earthquakes",
    "flood": "Floods",
    "fire": "Fires",
    "side_chains": "side chains of lysine, $T^6$",
    **{f"rotations_{k}": f"$SO(3)$, K = {k}" for k in (16, 32, 64)},
    **{f"torus_{d}": f"$T^{{{d}}}$" for d in TORI},
}


LOSSES = {
    "lagrangian": "Lagrangian",
    "lagrangian_squared": "Lagrangian, mean of squares",
    "lagrangian_adam": "Lagrangian, by Adam",
    "eulerian": "Eulerian",
    "semigroup": "semigroup",
    "trajectories": "regression on trajectories",
    "trajectories_adam": "the same by Adam, three times the steps",
}


Groups = dict[tuple, list[dict]]


def few_steps() -> dict[str, str]:
    groups = grouped("few_steps", "case", "method", "nfe")
    return {
        "teacher_steps": f"{TEACHER_STEPS:,}",
        "rotations_steps": f"{ROTATIONS_TEACHER_STEPS:,}",
        "torus_steps": f"{TORUS_TEACHER_STEPS:,}",
        "map_steps": f"{MAP_STEPS:,}",
        "regression_steps": f"{REGRESSION_STEPS:,}",
        "trajectories": f"{TRAJECTORIES:,}",
        "experts": str(EXPERTS),
        "minutes": minutes(groups),
        "rejected": main_table(groups),
        "biased": biased(groups),
        "densities": densities(groups),
        "tori": tori(groups),
        "curves": curves(groups),
        "errors": errors(),
        "loss_steps": f"{STEPS:,}",
        "losses": losses(),
    }


def title(case: str) -> str:
    return TITLES[case]


def rejections(group: list[dict]) -> str:
    """How many of the seeds the test rejects, and the percentage of repeated tests."""
    if not group:
        return ""
    seeds = f"{sum(line['p_value'] <= LEVEL for line in group)} of {len(group)}"
    repeated = [line["rejected"] for line in group if "rejected" in line]
    return f"{seeds}, {np.mean(repeated):.0%}" if repeated else seeds


def measured(groups: Groups, cases: list[str]) -> list[str]:
    return [case for case in cases if any(key[0] == case for key in groups)]


def minutes(groups: Groups) -> str:
    """The core-minutes of a score and of a map, in the median and at most."""
    lines = [line for group in groups.values() for line in group]
    found = []
    for name, field in {"score": "train_seconds", "map": "map_seconds"}.items():
        # Each training once, of all the lines that it has.
        each = {
            (line["case"], line["seed"], line[field]): line["cores"] * line[field]
            for line in lines
            if line.get(field)
        }
        numbers = np.array(list(each.values())) / 60
        median, most = np.median(numbers), np.max(numbers)
        found.append(f"a {name} took {median:.0f} in the median and {most:.0f} at most")
    return ", ".join(found)


def main_table(groups: Groups) -> str:
    rows = [
        [title(case), *(rejections(groups.get((case, *each), [])) for each in COMPARED)]
        for case in measured(groups, list(CASES))
    ]
    return table(["", *headings(COMPARED)], rows)


def headings(columns: list[tuple[str, int]]) -> list[str]:
    """Of methods, with their numbers of evaluations."""
    return [f"{NAMES[m]}, {n}" if n else NAMES[m] for m, n in columns]


def biased(groups: Groups) -> str:
    rows = []
    for case in measured(groups, list(EARTH)):
        value, source = FEW_STEPS[case]
        columns = ("ideal", 0), ("multistep", 10), ("map", 2), ("map", 1)
        found = [groups.get((case, *each), []) for each in columns]
        cells = [spread([g["biased_mmd"] for g in group]) for group in found]
        rows.append([title(case), f"{value} ({source})", *cells])
    head = ["published, 1", "other data", "multistep, 10", "map, 2", "map, 1"]
    return table(["", *head], rows)


def densities(groups: Groups) -> str:
    columns = [("ideal", 0), ("reverse_sde", 100), ("multistep", 100),
               ("multistep", 10), *MAPS]  # fmt: skip
    rows = []
    for case in measured(groups, [f"rotations_{k}" for k in (16, 32, 64)]):
        own = groups[case, "ideal", 0]
        row = [title(case), mean(own, "log_density_floor", 3)]
        for each in columns:
            row.append(mean(groups.get((case, *each), []), "log_density", 3))
        rows.append(row)
    return table(["", "target", *headings(columns)], rows)


def tori(groups: Groups) -> str:
    columns = [("reverse_sde", 100), ("multistep", 10), *MAPS]
    rows = []
    for dim in TORI:
        case = f"torus_{dim}"
        own = groups.get((case, "ideal", 0), [])
        if not own:
            continue
        found = [groups.get((case, *each), []) for each in columns]
        row = [str(dim), *(excess(group, dim) for group in found)]
        row.append(FEW_STEPS_TORI.get(dim, ""))
        row.append(mean(own, "frechet_distance", 3))
        row.append(mean(groups.get((case, "map", 2), []), "frechet_distance", 3))
        rows.append(row)
    head = ["n", *headings(columns)]
    distances = [
        f"Fréchet, {what}" for what in ("published, 2", "other data", "map, 2")
    ]
    return table([*head, *distances], rows)


def excess(group: list[dict], dim: int) -> str:
    """The negative log-likelihood of samples under the target above its entropy, per
    dimension."""
    found = [(g["log_density_floor"] - g["log_density"]) / dim for g in group]
    return spread(found)


def spread(numbers: list[float]) -> str:
    """The mean and its interval, or the numbers themselves where they are few."""
    if len(numbers) > 3:
        return interval(numbers, 3)
    return ", ".join(decimals(number, 3) for number in sorted(numbers))


def curves(groups: Groups) -> str:
    counts = sorted({key[2] for key in groups if key[0] in CURVES and key[2] > 1})
    rows = []
    for case in measured(groups, list(CURVES)):
        for method in (*SOLVERS, *VARIANTS, "map", "consistency"):
            found = [groups.get((case, method, n), []) for n in counts]
            if any(found):
                cells = [rejections(group) for group in found]
                rows.append([title(case), NAMES[method], *cells])
    return table(["", "", *map(str, counts)], rows)


def errors() -> str:
    """The distances from the flow, of both grids."""
    groups = grouped("solver_errors", "case", "solver", "nfe", "grid")

    def cell(*case):
        both = (mean(groups[*case, grid], "distance", 3) for grid in GRIDS)
        return ", ".join(filter(None, both))

    rows = [
        [title(case), NAMES[solver], *(cell(case, solver, n) for n in EVALUATIONS)]
        for case, solver in dict.fromkeys(key[:2] for key in groups)
    ]
    return table(["", "", *map(str, EVALUATIONS)], rows)


def losses() -> str:
    groups = grouped("map_losses", "case", "loss")
    rows = []
    for (case, loss), group in groups.items():
        cells = [mean(group, field, 4) for field in ("distance", "median", "two_steps")]
        rows.append([title(case), LOSSES[loss], *cells])
    head = ["mean, 1 step", "median, 1 step", "mean, 2 steps"]
    return table(["", "loss", *head], rows)
