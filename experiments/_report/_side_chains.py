"""Side chains given the backbone."""

import math

from benchmarks._page import table

from ..side_chains import MIN_VARIANCE, RESIDUES, SAMPLES, TEST
from ._lines import grouped
from ._tables import interval, mean


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


def side_chains() -> dict[str, str]:
    groups = grouped("side_chains", "residue", "method")
    noises = {math.degrees(r.setting["backbone_noise"]) for r in RESIDUES.values()}
    return {
        "min_variance": f"{MIN_VARIANCE:g}",
        "degrees": f"{math.degrees(MIN_VARIANCE**0.5):.1f}",
        "backbone_noise": " or ".join(f"{d:.1f}" for d in sorted(noises)),
        "points": f"{TEST:,}",
        "samples": str(SAMPLES),
        "finding": finding(groups),
        "nll": nlls(),
        "differences": differences(),
        "shares": shares(),
        # The quantile of Kolmogorov's distribution.
        "noise": f"{1.358 / TEST**0.5:.3f}",
    }


def side_chains_short() -> dict[str, str]:
    found = side_chains()
    return {name: found[name] for name in ("min_variance", "finding", "nll")}


def measured(groups: dict[tuple, list[dict]]) -> list[str]:
    return [residue for residue in RESIDUES if groups.get((residue, "rsgm"))]


def nlls() -> str:
    """Conditional NLL by residue and method."""
    groups = grouped("side_chains", "residue", "method")
    rows = [
        [residue.capitalize(), *(nll(groups[residue, method]) for method in NAMES)]
        for residue in measured(groups)
    ]
    return table(["residue", *NAMES.values()], rows)


def nll(group: list[dict]) -> str:
    return interval([line["conditional_nll"] for line in group], 3)


def differences() -> str:
    """By how much the NLL of RSGM is below that of each baseline, on the same split."""
    groups = grouped("side_chains", "residue", "method")
    rows = [
        [residue.capitalize(), *(gained(groups, residue, m) for m in BASELINES)]
        for residue in measured(groups)
    ]
    return table(["residue", *(NAMES[method] for method in BASELINES)], rows)


def gained(groups: dict[tuple, list[dict]], residue: str, method: str) -> str:
    return interval(gains(groups, residue, method), 3)


def gains(groups: dict[tuple, list[dict]], residue: str, method: str) -> list[float]:
    own = {line["seed"]: line["conditional_nll"] for line in groups[residue, "rsgm"]}
    other = groups[residue, method]
    pairs = ((line["conditional_nll"], own.get(line["seed"])) for line in other)
    return [theirs - ours for theirs, ours in pairs if ours is not None]


def ahead(groups: dict[tuple, list[dict]], residue: str) -> bool:
    """Whether RSGM is ahead of both baselines on every split."""
    return all(min(gains(groups, residue, method)) > 0 for method in BASELINES)


def finding(groups: dict[tuple, list[dict]]) -> str:
    found = [r.capitalize() for r in measured(groups) if ahead(groups, r)]
    return ", ".join(found) or "none"


def shares() -> str:
    groups = grouped("side_chains", "residue", "method")
    rows = []
    for residue in measured(groups):
        for method, name in NAMES.items():
            group = groups[residue, method]
            found = [mean(group, field, 3) for field in SHARES]
            rows.append([residue.capitalize(), name, *found])
    return table(["residue", "", *SHARES.values()], rows)
