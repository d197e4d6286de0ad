"""What the tables and the text of all sections are made of."""

import math

import numpy as np
import scipy.stats

from ._lines import values


NAMES = {
    "kernel_mixture": "Kernel mixture",
    "rsgm": "RSGM",
    "rsgm_single": "RSGM, one network",
    "kent_mixture": "Kent mixture",
    "normalizing_flow": "Riemannian CNF",
    "moser_flow": "Moser flow",
    "stereographic": "Stereographic model",
    "flow_matching": "Flow matching",
    "exp_wrapped": "Exp-wrapped model",
    "denoising": "RSGM, denoising loss",
    "sliced": "RSGM, sliced loss",
    "implicit": "RSGM, implicit loss",
    "hutchinson": "RSGM, implicit loss by Hutchinson",
}
# Of a model whose target is known.
FIT = [
    "rgen",
    "ceiling",
    "gap",
    "log p of samples",
    "integral",
    "NFE: density",
    "NFE: sample",
    "core-minutes",
]


def interval(numbers: list[float], digits: int = 2) -> str:
    """The mean, its 95 % interval, and their number."""
    n = len(numbers)
    if n == 0:
        return ""
    mean = decimals(float(np.mean(numbers)), digits)
    if n == 1:
        return f"{mean} (1)"
    return f"{mean} ± {half_width(numbers):.{digits}f} ({n})"


def half_width(numbers: list[float]) -> float:
    n = len(numbers)
    quantile = scipy.stats.t.ppf(0.975, n - 1)
    return float(quantile * np.std(numbers, ddof=1) / math.sqrt(n))


def paired(first: list[dict], second: list[dict], field: str) -> list[float]:
    """What the lines `first` have above those of `second` in a field, seed by seed."""
    one, other = ({line["seed"]: line[field] for line in g} for g in (first, second))
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def mean(group: list[dict], field: str, digits: int) -> str:
    found = values(group, field)
    return decimals(float(np.mean(found)), digits) if found else ""


def decimals(number: float, digits: int) -> str:
    """Without the sign of a zero."""
    return f"{round(number, digits) + 0.0:.{digits}f}"


def fit(group: list[dict]) -> list[str]:
    """The columns [`FIT`][] of results that `experiments._quality` has written."""
    return [
        interval([line["log_likelihood"] for line in group], 3),
        mean(group, "ceiling", 3),
        gap(group),
        mean(group, "sample_log_likelihood", 3),
        mean(group, "mass", 3),
        mean(group, "density_evaluations", 0),
        mean(group, "sample_evaluations", 0),
        core_minutes(group),
    ]


def gap(group: list[dict]) -> str:
    if len(group) > 1:
        return mean(group, "gap", 3)
    return f"{group[0]['gap']:.3f} ± {group[0]['gap_error']:.3f}"


def methods_in(groups: dict[tuple, list[dict]], first: int = 0) -> list[str]:
    found = {key[first] for key in groups}
    if unknown := found - NAMES.keys():
        raise ValueError(f"expected methods out of {list(NAMES)}, got {unknown}.")
    return [name for name in NAMES if name in found]


def core_minutes(group: list[dict]) -> str:
    minutes = [line["cores"] * line["train_seconds"] / 60 for line in group]
    return f"{np.mean(minutes):.1f}" if minutes else "–"


def floors(moser: dict[str, list[dict]]) -> str:
    """What the floor of the density of Moser flows adds to their mass, by name."""
    added = (f"{mean(group, 'floor_mass', 2)} {name}" for name, group in moser.items())
    return ", ".join(added)
