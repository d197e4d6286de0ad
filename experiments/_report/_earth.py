"""Table 3."""

import math
from collections import defaultdict

import numpy as np

from benchmarks._page import table

from .._published import EARTH, SOURCES, WITHOUT_CODE
from ..earth import DATASETS, MIN_VARIANCE, STEPS
from ._lines import grouped, values
from ._tables import (
    NAMES,
    core_minutes,
    decimals,
    floors,
    half_width,
    interval,
    methods_in,
    paired,
)


# Seeds that had no part in the choice of the settings.
UNSEEN = 3, 4

SAMPLES = {"wasserstein": "$W_1$", "squared_mmd": "MMD²"}


def settings() -> dict[str, str]:
    return {
        "steps": ", ".join(f"{STEPS[name]:,}" for name in DATASETS),
        "longest": longest_trainings(of_protocol("legacy")),
    }


def protocol(name: str) -> dict[str, str]:
    own = of_protocol(name)
    found = {
        "likelihoods": earth_likelihoods(name, own),
        "differences": earth_differences(own),
        "better": earth_verdict(own),
        "floors": earth_floors(own),
        "samples": earth_samples(own),
    }
    return found | earth_unseen(own) | earth_finer(own) if name == "legacy" else found


def of_protocol(name: str) -> dict[tuple, list[dict]]:
    """The lines of a protocol, by method and data set."""
    groups = grouped("earth", "protocol", "method", "dataset")
    return {key[1:]: group for key, group in groups.items() if key[0] == name}


def longest_trainings(groups: dict[tuple, list[dict]]) -> str:
    """Those of RSGM by the protocol of the paper, by the number of cores."""
    by_cores = defaultdict(list)
    for dataset in DATASETS:
        for line in groups["rsgm", dataset]:
            by_cores[line["cores"]].append(line["train_seconds"])
    longest = {cores: max(by_cores[cores]) for cores in sorted(by_cores)}
    each = (f"{s:.0f} s (cores: {cores})" for cores, s in longest.items())
    return " and ".join(each)


def earth_likelihoods(protocol: str, own: dict[tuple, list[dict]]) -> str:
    head = ["", "", *(d.capitalize() for d in DATASETS), "core-minutes of a seed"]
    rows = []
    for method in methods_in(own):
        published = EARTH.get(method, {}) if protocol == "legacy" else {}
        if published:
            source = SOURCES.get(method, "De Bortoli et al.")
            rows.append([NAMES[method], source, *(published[d] for d in DATASETS), ""])
        name = "" if published else NAMES[method]
        rows.append(likelihoods(name, [own.get((method, d), []) for d in DATASETS]))
        if method == "kernel_mixture":
            rows += coarse_rows(protocol)
    if protocol == "legacy":
        rows.append([*WITHOUT_CODE[:2], *(WITHOUT_CODE[2][d] for d in DATASETS), ""])
    return table(head, rows)


def coarse_rows(protocol: str) -> list[list[str]]:
    """Those of kernel mixtures with a larger variance than that of the page."""
    groups = at_other_variances(protocol)
    rows = []
    for resolution in sorted({key[2] for key in groups if key[2] > MIN_VARIANCE}):
        cells = [groups.get(("kernel_mixture", d, resolution), []) for d in DATASETS]
        rows.append(likelihoods(f"Kernel mixture, {variance(resolution)}", cells))
    return rows


def earth_finer(own: dict[tuple, list[dict]]) -> dict[str, str]:
    """What a finer noise level makes of the likelihoods of the volcanoes, by the
    protocol of the paper."""
    groups, dataset = at_other_variances("legacy"), "volcano"
    fine = min(key[2] for key in groups)
    finer = {
        key[0]: group for key, group in groups.items() if key[1:] == (dataset, fine)
    }
    rows = [
        [
            NAMES[method],
            EARTH.get(method, {}).get(dataset, ""),
            nlls(own[method, dataset]),
            nlls(finer[method]),
            core_minutes(finer[method]),
        ]
        for method in NAMES
        if method in finer
    ]
    head = ["", "published", variance(MIN_VARIANCE), variance(fine), "core-minutes"]
    distances = {m: np.mean(values(g, "wasserstein")) for m, g in finer.items()}
    return {
        "finer": table(head, rows),
        "floor": f"{np.mean(values(finer['moser_flow'], 'floor_mass')):.2f}",
        "moser": f"{distances.pop('moser_flow'):.2f}",
        "others": f"{max(distances.values()):.2f}",
    }


def nlls(group: list[dict]) -> str:
    return interval([line["test_nll"] for line in group])


def at_other_variances(protocol: str) -> dict[tuple, list[dict]]:
    """The lines of other variances than that of the page, by method, data set and
    variance."""
    groups = grouped("earth_resolutions", "protocol", "method", "dataset", "resolution")
    return {key[1:]: group for key, group in groups.items() if key[0] == protocol}


def variance(resolution: float) -> str:
    return f"variance $10^{{{math.log10(resolution):.0f}}}$"


def likelihoods(name: str, groups: list[list[dict]]) -> list[str]:
    """The row of a method, from the lines of each data set."""
    return [name, "rgen", *map(nlls, groups), ", ".join(map(core_minutes, groups))]


def earth_differences(own: dict[tuple, list[dict]]) -> str:
    """The NLL of RSGM less that of each of the others."""
    rows = [
        [NAMES[method], *(interval(differences(own, method, d)) for d in DATASETS)]
        for method in methods_in(own)
        if method != "rsgm"
    ]
    head = ["", *(d.capitalize() for d in DATASETS)]
    return table(head, rows)


def earth_verdict(own: dict[tuple, list[dict]]) -> str:
    """Where what RSGM gains on the kernel mixture is more than its wider interval."""
    bounds = {d: upper(differences(own, "kernel_mixture", d)) for d in DATASETS}
    clear = [d.capitalize() for d, bound in bounds.items() if bound < 0]
    return ", ".join(clear) or "none"


def upper(numbers: list[float]) -> float:
    """The end of their interval, which one number does not have, made wider for splits
    of the same rows, of which a tenth are test and eight tenths training (Nadeau and
    Bengio 2003)."""
    n = len(numbers)
    if n == 1:
        return math.inf
    wider = math.sqrt(1 + n * 0.1 / 0.8)
    return float(np.mean(numbers)) + wider * half_width(numbers)


def earth_unseen(own: dict[tuple, list[dict]]) -> dict[str, str]:
    unseen = lambda group: [line for line in group if line["seed"] in UNSEEN]
    kept = {key: unseen(group) for key, group in own.items()}
    found = [differences(kept, "kernel_mixture", d) for d in DATASETS]
    return {
        "unseen": " and ".join(map(str, UNSEEN)),
        "unseen_means": ", ".join(decimals(float(np.mean(each)), 2) for each in found),
    }


def differences(own: dict[tuple, list[dict]], method: str, dataset: str) -> list[float]:
    """What the NLL of RSGM has above that of a method, seed by seed."""
    rsgm, other = (own.get((name, dataset), []) for name in ("rsgm", method))
    return paired(rsgm, other, "test_nll")


def earth_floors(own: dict[tuple, list[dict]]) -> str:
    moser = {d: own[key] for d in DATASETS if (key := ("moser_flow", d)) in own}
    return floors({f"on {d} data": group for d, group in moser.items()})


def earth_samples(own: dict[tuple, list[dict]]) -> str:
    rows = []
    for method in methods_in(own):
        groups = [own.get((method, d), []) for d in DATASETS]
        for field, name in SAMPLES.items():
            cells = [interval(values(group, field), 3) for group in groups]
            rows.append([NAMES[method], name, *cells])
    head = ["", "", *(d.capitalize() for d in DATASETS)]
    return table(head, rows)
