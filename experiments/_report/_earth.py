"""Table 3."""

import math
from collections import defaultdict

import numpy as np

from .._published import EARTH, RIVAL, SOURCES
from ..earth import DATASETS, RESOLUTION, STEPS
from ._lines import grouped, values
from ._tables import (
    NAMES,
    core_minutes,
    decimals,
    figure,
    floors,
    half_width,
    interval,
    methods_in,
    table,
)


EARTH_TEXT = """## Events on the globe

Mean negative log-likelihood of test points on $S^2$; lower is better. Any cell is
run by one command, the data being downloaded at first use:

    python -m experiments.earth --dataset flood --method rsgm --seed 0 1 2 3 4

Without a blur the likelihood is unbounded where data repeat or lie on a grid. RSGM and
the mixtures are blurred by a variance of at least $10^{{-5}}$ square radians, a
standard deviation of 20 km on the Earth; the chart and the flows are trained on points
that are blurred so, and may be sharper. The kernel mixture has kernels on the training
points, none of them narrower than that blur: what a model should beat if it has learnt
anything. Published numbers have resolutions of their own, which are not known: what the
blur decides, from one row of the kernel mixture to the next, is on all but the floods
more than most models differ by, and where a row of rgen is ahead of its published one
the kernel mixture often is as well.

RSGM is the mean of three small networks, on the floods of six, and its blur is made
coarser, step by step, for as long as validation gains, to at most 300 times the
variance; on the floods one network of the size of its rivals' stands beside it. All
networks are the best of eight checkpoints on validation, and the weights of the kernel
mixture are fitted to it. The settings were found by looking at the likelihoods of seeds
0 to 2, of validation and test. Seeds 3 and 4 of the first two protocols had no part in
that, but split the same rows; of the third, the range of the blurs was widened when all
seeds had been seen. Only RSGM was tuned to each data set: the number of its networks;
the number of steps, in the order of the tables {steps}; and how strongly its waves are
damped, half as much on the fires, whose clumps take long to fit, and twice as much on
the floods, where networks soon fit noise. By the paper's protocol the longest of its
trainings, with the selections, took {longest}.

Rivals train for as many steps as RSGM, with two exceptions. Moser flows train for half
of them, each being dearer, at ten times the variance and at three times, of which
validation chooses; half of the points where they pay for negative mass are near data.
The Riemannian CNF goes through its ODE and back at each step, by a solver of tolerance
$10^{{-3}}$: a network of half the width trains for 2,000 steps of 64 points. Mixtures
of Kent laws start once for each number of components.

At this resolution RSGM, the Riemannian CNF and Moser flows are behind their published
numbers on the volcanoes by more than the published interval, and flow matching on all
but the earthquakes; its published numbers were not checked, but for the fires. At a
hundredth of the variance none is behind on the volcanoes, as a table below shows."""

PROTOCOLS = {
    "legacy": """### The paper's protocol

A random split for each seed, duplicates included. **The volcanoes' column says
little.** Of 827 rows 267 are distinct, so that 83 to 88 % of the test points of these
splits are copies of training points, and the likelihood measures how sharply a model
remembers: it has no upper bound as the resolution gets finer. At the resolution of this
page no model comes near the sharpest published numbers; a table below has finer ones.
Of the earthquakes 16 to 17 % are copies too.""",
    "distinct": """### Distinct rows

Rows whose coordinates agree to 0.001 degrees are kept once, then split at random. The
settings are those above, which were tuned on other splits of the same rows: of the
floods and the fires nearly all are distinct.""",
    "cells": """### Whole cells held out

Distinct rows, and whole cells of about two degrees go to training, validation or test.
Most test points have a training point within two degrees, across a border, but few
within 20 km: a model has to generalise beyond the places that it has seen. The scale of
the frequencies that networks read is at most the inverse of the width of a cell; RSGM
has three networks, without further damping; and 3,000 steps take the place of those
above. RSGM may choose a blur of up to 350 km on validation, and the kernel mixture any;
the chart, flow matching and the CNF have no such choice, and what RSGM gains on them is
in part its blur.""",
}

FINER_TEXT = """\
The volcanoes at a hundredth of the variance, a standard deviation of 2 km, with waves
as fine: the likelihood of every model is decided by its blur. The waves of the
Riemannian CNF are as fine as at the resolution of the page, for with finer ones its ODE
is stiff. What the floor adds to the mass of Moser flows is {floor:.2f} here, and their
draws go astray: their Wasserstein-1 distance to the test points is {moser:.2f}, that of
other models {others:.2f} at most."""

# Seeds that had no part in the choice of the settings.
UNSEEN = 3, 4

SAMPLES_TEXT = """\
Between the test points and as many draws: the Wasserstein-1 distance in radians, and
the squared maximum mean discrepancy under the heat kernel of variance 0.01, which is 16
of a point with itself. Between two samples of one law the first is above zero, and the
second zero in the mean. Test points are about a tenth of the rows: of the volcanoes
about 83, and 27 of the distinct ones."""


SAMPLES = {"wasserstein": "$W_1$", "squared_mmd": "MMD²"}


def earth() -> list[str]:
    groups = grouped("earth", "protocol", "method", "dataset")
    what = "Densities of RSGM, with the test points of seed 0"
    steps = ", ".join(f"{STEPS[name]:,}" for name in DATASETS)
    text = EARTH_TEXT.format(steps=steps, longest=longest_trainings(groups))
    parts = [text, figure("earth", what)]
    for protocol, text in PROTOCOLS.items():
        own = {key[1:]: group for key, group in groups.items() if key[0] == protocol}
        if own:
            parts += [
                text,
                earth_likelihoods(protocol, own),
                earth_differences(own),
                earth_unseen(own) if protocol == "legacy" else "",
                earth_finer(own, "volcano") if protocol == "legacy" else "",
                earth_floors(own),
                earth_samples(own),
            ]
    return parts


def longest_trainings(groups: dict[tuple, list[dict]]) -> str:
    """Those of RSGM by the protocol of the paper, by the number of cores."""
    by_cores = defaultdict(list)
    for dataset in DATASETS:
        for line in groups["legacy", "rsgm", dataset]:
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
        rows.append([*RIVAL[:2], *(RIVAL[2][d] for d in DATASETS), ""])
    return table(head, rows)


def coarse_rows(protocol: str) -> list[list[str]]:
    """Those of kernel mixtures that are blurred by more than that of the page."""
    groups = at_resolutions(protocol)
    rows = []
    for resolution in sorted({key[2] for key in groups if key[2] > RESOLUTION}):
        cells = [groups.get(("kernel_mixture", d, resolution), []) for d in DATASETS]
        rows.append(likelihoods(f"Kernel mixture, {variance(resolution)}", cells))
    return rows


def earth_finer(own: dict[tuple, list[dict]], dataset: str) -> str:
    """What a finer blur makes of the likelihoods of a data set, by the protocol of the
    paper."""
    groups = at_resolutions("legacy")
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
    head = ["", "published", variance(RESOLUTION), variance(fine), "core-minutes"]
    distances = {m: np.mean(values(g, "wasserstein")) for m, g in finer.items()}
    text = FINER_TEXT.format(
        floor=np.mean(values(finer["moser_flow"], "floor_mass")),
        moser=distances.pop("moser_flow"),
        others=max(distances.values()),
    )
    return text + "\n\n" + table(head, rows)


def nlls(group: list[dict]) -> str:
    return interval([line["test_nll"] for line in group])


def at_resolutions(protocol: str) -> dict[tuple, list[dict]]:
    """The lines of other resolutions than that of the page, by method, data set and
    resolution."""
    groups = grouped("earth_resolutions", "protocol", "method", "dataset", "resolution")
    return {key[1:]: group for key, group in groups.items() if key[0] == protocol}


def variance(resolution: float) -> str:
    return f"variance $10^{{{math.log10(resolution):.0f}}}$"


def likelihoods(name: str, groups: list[list[dict]]) -> list[str]:
    """The row of a method, from the lines of each data set."""
    return [name, "rgen", *map(nlls, groups), ", ".join(map(core_minutes, groups))]


def earth_differences(own: dict[tuple, list[dict]]) -> str:
    text = """\
The negative log-likelihood of RSGM less that of each of the others, on the seeds that
both have; where it is negative RSGM is better."""
    rows = [
        [NAMES[method], *(interval(differences(own, method, d)) for d in DATASETS)]
        for method in methods_in(own)
        if method != "rsgm"
    ]
    head = ["", *(d.capitalize() for d in DATASETS)]
    return "\n\n".join([text, table(head, rows), earth_verdict(own)])


def earth_verdict(own: dict[tuple, list[dict]]) -> str:
    """Where what RSGM gains on the kernel mixture is more than its wider interval."""
    bounds = {d: upper(differences(own, "kernel_mixture", d)) for d in DATASETS}
    clear = [d.capitalize() for d, bound in bounds.items() if bound < 0]
    return (
        "RSGM is better than the kernel mixture by more than the interval, made wider "
        "for the overlap of the splits (Nadeau and Bengio 2003), on: "
        f"{', '.join(clear) or 'none'}. That is with the seeds on which it was tuned."
    )


def upper(numbers: list[float]) -> float:
    """The end of their interval, which one number does not have, made wider for splits
    of the same rows, of which a tenth are test and eight tenths training (Nadeau and
    Bengio 2003)."""
    n = len(numbers)
    if n == 1:
        return math.inf
    wider = math.sqrt(1 + n * 0.1 / 0.8)
    return float(np.mean(numbers)) + wider * half_width(numbers)


def earth_unseen(own: dict[tuple, list[dict]]) -> str:
    unseen = lambda group: [line for line in group if line["seed"] in UNSEEN]
    kept = {key: unseen(group) for key, group in own.items()}
    found = [differences(kept, "kernel_mixture", d) for d in DATASETS]
    if not all(found):
        return ""
    means = ", ".join(decimals(float(np.mean(each)), 2) for each in found)
    return f"""\
Over seeds {UNSEEN[0]} and {UNSEEN[1]} alone, which the settings were not chosen on, the
means of the first of these rows are {means}."""


def differences(own: dict[tuple, list[dict]], method: str, dataset: str) -> list[float]:
    """What the NLL of RSGM has above that of a method, seed by seed."""
    of = lambda method: {
        line["seed"]: line["test_nll"] for line in own.get((method, dataset), [])
    }
    rsgm, other = of("rsgm"), of(method)
    return [rsgm[seed] - other[seed] for seed in sorted(rsgm.keys() & other.keys())]


def earth_floors(own: dict[tuple, list[dict]]) -> str:
    moser = {d: own[key] for d in DATASETS if (key := ("moser_flow", d)) in own}
    return floors({f"on {d} data": group for d, group in moser.items()}, "0.03")


def earth_samples(own: dict[tuple, list[dict]]) -> str:
    rows = []
    for method in methods_in(own):
        groups = [own.get((method, d), []) for d in DATASETS]
        for field, name in SAMPLES.items():
            cells = [interval(values(group, field), 3) for group in groups]
            rows.append([NAMES[method], name, *cells])
    return (
        SAMPLES_TEXT
        + "\n\n"
        + table(["", "", *(d.capitalize() for d in DATASETS)], rows)
    )
