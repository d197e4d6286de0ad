"""Side chains given the backbone."""

import math
from collections.abc import Callable

from benchmarks._page import table

from ..side_chains import MIN_VARIANCE, RESIDUES, SAMPLES, TEST
from ._lines import grouped
from ._tables import interval, mean, paired


NAMES = {
    "rsgm": "RSGM",
    "unconditional": "RSGM, unconditional",
    "kernel_mixture": "Kernel mixture",
    "rotamer_library": "Rotamer library",
}
BASELINES = "kernel_mixture", "rotamer_library"
SHARES = {
    "chi1_recovery": "chi1",
    "chi12_recovery": "chi1 and chi2",
    "chi1_calibration": "calibration",
}


Groups = dict[tuple, list[dict]]


def side_chains() -> dict[str, str]:
    groups = by_residue()
    noises = {math.degrees(r.setting["backbone_noise"]) for r in RESIDUES.values()}
    return {
        **_short(groups),
        "degrees": f"{math.degrees(MIN_VARIANCE**0.5):.1f}",
        "backbone_noise": " or ".join(f"{d:.1f}" for d in sorted(noises)),
        "members": str(RESIDUES["cys"].members),
        "points": f"{TEST:,}",
        "samples": str(SAMPLES),
        "differences": by_method(groups, BASELINES, gains),
        "shares": shares(groups),
        # The quantile of Kolmogorov's distribution.
        "noise": f"{1.358 / TEST**0.5:.3f}",
    }


def side_chains_short() -> dict[str, str]:
    return _short(by_residue())


def by_residue() -> Groups:
    return grouped("side_chains", "residue", "method")


def _short(groups: Groups) -> dict[str, str]:
    return {
        "min_variance": f"{MIN_VARIANCE:g}",
        "finding": finding(groups),
        "nll": by_method(groups, tuple(NAMES), nlls),
    }


def measured(groups: Groups) -> list[str]:
    return [residue for residue in RESIDUES if groups.get((residue, "rsgm"))]


def by_method(groups: Groups, methods: tuple[str, ...], numbers: Callable) -> str:
    """A table of `numbers(groups, residue, method)`, with intervals."""
    rows = [
        [r.capitalize(), *(interval(numbers(groups, r, m), 3) for m in methods)]
        for r in measured(groups)
    ]
    return table(["residue", *(NAMES[method] for method in methods)], rows)


def nlls(groups: Groups, residue: str, method: str) -> list[float]:
    return [line["conditional_nll"] for line in groups[residue, method]]


def gains(groups: Groups, residue: str, method: str) -> list[float]:
    """By how much the NLL of RSGM is below that of a method, on the same splits."""
    other, own = groups[residue, method], groups[residue, "rsgm"]
    return paired(other, own, "conditional_nll")


def ahead(groups: Groups, residue: str) -> bool:
    """Whether RSGM is ahead of both baselines on every split."""
    return all(min(gains(groups, residue, method)) > 0 for method in BASELINES)


def finding(groups: Groups) -> str:
    found = [r.capitalize() for r in measured(groups) if ahead(groups, r)]
    return ", ".join(found) or "none"


def shares(groups: Groups) -> str:
    rows = []
    for residue in measured(groups):
        for method, name in NAMES.items():
            group = groups[residue, method]
            found = [mean(group, field, 3) for field in SHARES]
            rows.append([residue.capitalize(), name, *found])
    return table(["residue", "", *SHARES.values()], rows)
