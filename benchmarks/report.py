"""Writes docs/results.md from the committed results, `benchmarks/results/*.jsonl`.

python -m benchmarks.report
"""

import math
import pathlib
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import scipy.stats

from ._published import EARTH, RIVAL, ROTATIONS, SOURCES
from ._results import Results
from .earth import DATASETS, RESOLUTION, STEPS, default_setting
from .rotations import (
    METHODS,
    RESOLUTION as ROTATIONS_RESOLUTION,
    STEPS as ROTATIONS_STEPS,
)
from .torus import ENTROPY
from .wasserstein_bound import MANIFOLDS


ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"

NAMES = {
    "kernel_mixture": "Kernel mixture",
    "rsgm": "RSGM",
    "rsgm_single": "RSGM, one network",
    "kent_mixture": "Mixture of Kent laws",
    "normalizing_flow": "Riemannian CNF",
    "moser_flow": "Moser flow",
    "stereographic": "Stereographic model",
    "flow_matching": "Flow matching",
    "exp_wrapped": "Exp-wrapped model",
    "denoising": "RSGM, denoising loss",
    "sliced": "RSGM, sliced loss",
    "implicit": "RSGM, implicit loss",
    "hutchinson": "RSGM, implicit loss by Hutchinson",
    "moser": "Moser flow",
}
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
    "earth_coarse": (
        ("method", "dataset", "protocol", "seed", "resolution"),
        lambda line: {
            "method": "kernel_mixture",
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
# Of a model whose target is known.
FIT = [
    "rgen",
    "ceiling",
    "gap",
    "log p of draws",
    "integral",
    "evaluations: density",
    "draw",
    "core-minutes",
]
# To first order, v / 2 for each dimension and unit of the precision of the angle, of
# which the mean is 200.
BLUR_COST = 3 * 200 * ROTATIONS_RESOLUTION / 2
FIT_TEXT = """\
The ceiling is the log-likelihood of the target itself, and the gap to it what a model
lacks, with the standard error over the test points where there is one seed; "log p of
draws" is the mean log-density of the target at draws of the model, which the ceiling
belongs to as well; the integral of a model's density would be one. Evaluations are of
the network, for one draw, and of the network and its divergence, for one density; for
one of the exp-wrapped model, at all the points of the chart that have one image."""

INTRODUCTION = """# Results

What the models of rgen do in the experiments of De Bortoli et al. 2022, beside the
numbers that were published. Every measured number in the tables is from a line of JSON
in `benchmarks/results`, and the tables are made of those lines:

    python -m benchmarks.report

Likelihoods are in nats. Intervals of rgen's numbers are those of 95 %, by Student's
distribution over the seeds, of which the number is in brackets; those of published
numbers are as they were printed. A cell without a number has not been run, or has none
in the paper. Core-minutes are wall-clock time times cores, with compilation and the
choice of a model on validation, on machines of several speeds: that one number is twice
another means little. The splits of one data set overlap, so that intervals are too
narrow for new data, and a difference of two methods is clearer than theirs, since both
see the same splits."""

EARTH_TEXT = """## Events on the globe

Mean negative log-likelihood of test points on $S^2$; lower is better. Any cell is
run by one command, the data being downloaded at first use:

    python -m benchmarks.earth --dataset flood --method rsgm --seed 0 1 2 3 4

Without a blur the likelihood is unbounded where data repeat or lie on a grid. RSGM and
the mixtures are blurred by a variance of at least $10^{{-5}}$ square radians, a
standard deviation of 20 km on the Earth; the chart and the flows are trained on points
that are blurred so, and may be sharper. The kernel mixture has kernels on the training
points, none of them narrower than that blur: what a model should beat if it has learnt
anything. Published numbers have resolutions of their own, which are not known: what the
blur decides, from one row of the kernel mixture to the next, is on all but the floods
more than most models differ by, and where a row of rgen is ahead of its published one
the kernel mixture often is as well.

RSGM is the mean of three small networks, on the floods of six, and its blur is the best
of up to four on validation; on the floods one network of the size of its rivals' stands
beside it. All networks are the best of eight checkpoints on validation, and the weights
of the kernel mixture are fitted to it. The settings were found by looking at the
likelihoods of seeds 0 to 2, of validation and test; seeds 3 and 4 had no part in that,
but split the same rows; a cell of three seeds or fewer is of seeds that RSGM was tuned
on. Only RSGM was tuned to each data set: the number of its networks; the number of
steps, in the order of the tables {steps}; and how strongly its waves are damped, half
as much on the fires, whose clumps take long to fit, and twice as much on the floods,
where networks soon fit noise.

Rivals train for as many steps, which is what suits RSGM, but for two. Moser flows train
for half of them, each being dearer, at ten times the variance and at three times, of
which validation chooses, for with finer waves they have negative mass between the data.
The Riemannian CNF goes through its ODE and back at each step, by a solver of tolerance
$10^{{-3}}$: a network of half the width trains for 2,000 steps of 64 points. Mixtures
of Kent laws start once for each number of components.

By more than the published interval, RSGM, the Riemannian CNF and Moser flows are behind
their published numbers on the volcanoes, and flow matching on all but the earthquakes;
its published numbers were not checked, but for the fires. On the volcanoes resolution
explains a part, the kernel mixture being behind as well."""

PROTOCOLS = {
    "legacy": """### The paper's protocol

A random split for each seed, duplicates included. **The volcanoes' column says
little.** Of 827 rows 267 are distinct, so that about 80 % of the test points are copies
of training points, on these splits from 83 to 88 %, and the likelihood measures how
sharply a model remembers: it has no upper bound as the resolution gets finer. At the
resolution of this page no model comes near the sharpest published numbers. 16 % of the
earthquakes are copies too.""",
    "distinct": """### Distinct rows

Rows whose coordinates agree to 0.001 degrees are kept once, then split at random. The
settings are those above, which were tuned on other splits of the same rows: of the
floods and the fires nearly all are distinct.""",
    "cells": """### Whole cells held out

Distinct rows, and whole cells of about two degrees go to training, validation or test.
Most test points have a training point within two degrees, across a border, but few
within 20 km: a model has to generalise beyond the places that it has seen. The scale of
the frequencies that networks read is at most the inverse of the width of a cell; those
of RSGM are three, without further damping; and 3,000 steps take the place of those
above. RSGM may choose a blur of up to 350 km on validation, and the kernel mixture any;
the chart, flow matching and the CNF have no such choice, and what RSGM gains on them is
in part its blur.""",
}

# Seeds that had no part in the choice of the settings.
UNSEEN = 3, 4

SAMPLES_TEXT = """\
Between the test points and as many draws: the Wasserstein-1 distance in radians, and
the squared maximum mean discrepancy under the heat kernel of variance 0.01, of which a
point with itself has 16. Between two samples of one law the first is above zero, and
the second zero in the mean. Test points are about a tenth of the rows."""


SAMPLES = {"wasserstein": "$W_1$", "squared_mmd": "MMD²"}


def page() -> str:
    sections = earth, rotations, torus, hyperbolic, passes, bound
    parts = [INTRODUCTION, *(part for section in sections for part in section())]
    return "\n\n".join(part for part in parts if part) + "\n"


def figure(name: str, what: str) -> str:
    """The figure that `benchmarks.figures` makes, where it has been made."""
    made = (ROOT / "docs" / "assets" / f"{name}.png").exists()
    command = f"    python -m benchmarks.figures {name}"
    return f"![{what}](assets/{name}.png)\n\n{what}:\n\n{command}" if made else ""


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


def table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


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


def mean(group: list[dict], field: str, digits: int) -> str:
    found = values(group, field)
    return decimals(float(np.mean(found)), digits) if found else ""


def decimals(number: float, digits: int) -> str:
    """Without the sign of a zero."""
    return f"{round(number, digits) + 0.0:.{digits}f}"


def values(group: list[dict], field: str) -> list[float]:
    """Those that there are: a sampler may have given up."""
    return [line[field] for line in group if line.get(field) is not None]


def fit(group: list[dict]) -> list[str]:
    """The columns [`FIT`][] of results that `benchmarks._quality` has written."""
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
    return [name for name in NAMES if name in found]


def earth() -> list[str]:
    groups = grouped("earth", "protocol", "method", "dataset")
    if not groups:
        return []
    what = "Densities of RSGM, with the test points of seed 0"
    steps = ", ".join(f"{STEPS[name]:,}" for name in DATASETS)
    parts = [EARTH_TEXT.format(steps=steps), figure("earth", what)]
    for protocol, text in PROTOCOLS.items():
        own = {key[1:]: group for key, group in groups.items() if key[0] == protocol}
        if own:
            parts += [
                text,
                earth_likelihoods(protocol, own),
                earth_differences(own),
                earth_unseen(own) if protocol == "legacy" else "",
                earth_floors(own),
                earth_samples(own),
            ]
    return parts


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
    """Those of kernel mixtures at other resolutions than that of the page."""
    groups = grouped("earth_coarse", "protocol", "resolution", "dataset")
    rows = []
    for resolution in sorted({key[1] for key in groups if key[0] == protocol}):
        own = [groups.get((protocol, resolution, d), []) for d in DATASETS]
        name = f"Kernel mixture, variance $10^{{{math.log10(resolution):.0f}}}$"
        rows.append(likelihoods(name, own))
    return rows


def likelihoods(name: str, groups: list[list[dict]]) -> list[str]:
    """The row of a method, from the lines of each data set."""
    cells = [interval([line["test_nll"] for line in group]) for group in groups]
    return [name, "rgen", *cells, ", ".join(map(core_minutes, groups))]


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
        f"{', '.join(clear) or 'none'}."
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


def core_minutes(group: list[dict]) -> str:
    minutes = [line["cores"] * line["train_seconds"] / 60 for line in group]
    return f"{np.mean(minutes):.1f}" if minutes else "–"


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


def rotations() -> list[str]:
    groups = grouped("rotations", "components", "method")
    if not groups:
        return []
    text = f"""## Rotations

Mean log-likelihood of mixtures of $K$ wrapped normals on $SO(3)$; higher is better.
Models see fresh draws at each of {ROTATIONS_STEPS:,} steps; Moser flows have an eighth
of the steps, each being dearer, at three times the rate. Three of four of the times
that RSGM is trained at are in the middle half of the logarithm of the variance, where
the components part from one another; those of the exp-wrapped model are stratified, and
not tuned. With one seed a difference of 0.005 says nothing.

    python -m benchmarks.rotations --components 16 32 64 --method rsgm

{FIT_TEXT} The ceiling differs from draw to draw of the components. Draws of RSGM and of
the exp-wrapped model keep noise of the variance {ROTATIONS_RESOLUTION}, which alone
takes up to about {BLUR_COST:.3f} off log p; the draws of Moser flows that go astray,
where they have negative mass, take more. The paper states one number of evaluations."""
    head = ["K", "", "paper", "evaluations", *FIT]
    rows = []
    for components in sorted({key[0] for key in groups}):
        for method in methods_in(groups, 1):
            group = groups.get((components, method), [])
            if not group:
                continue
            published, count = ROTATIONS.get(method, {}).get(components, ("", ""))
            rows.append(
                [
                    str(components),
                    NAMES[method],
                    published,
                    str(count),
                    *fit(group),
                ]
            )
    what = "Euler angles of the target with 32 components, and of draws of the model"
    moser = {
        f"for K = {k}": groups[k, "moser_flow"]
        for k in sorted({key[0] for key in groups})
        if (k, "moser_flow") in groups
    }
    floor = floors(moser, "$10^{-4}$")
    return [text, table(head, rows), floor, figure("rotations", what)]


def torus() -> list[str]:
    groups = grouped("torus", "method", "dim")
    if not groups:
        return []
    text = """## Dimension

One wrapped normal of scale 0.2 on $T^n$: negative log-likelihood per dimension, of
which the limit is {limit:.4f}, and milliseconds of a training step (cores: {cores}).
Densities take the exact divergence for n up to 10, and Hutchinson's estimate above.

    python -m benchmarks.torus --dim 1 10 100 --method denoising

The networks are an MLP and, beside it, a sum of harmonics of the angles whose gains
depend on the noise, for noise comes to each angle alone. That suits a target that is a
product of laws of one angle. The denoising loss is weighted by the variance, and the
others by $\\beta$, the weight of the likelihood. There is one seed; standard errors
of the likelihoods of RSGM are at most {error:.3f}. Moser flows pay for negative mass at
uniform points, of which fewer come near the data the more dimensions there are."""
    cores = {line["cores"] for group in groups.values() for line in group}
    text = text.format(
        limit=ENTROPY,
        cores=" or ".join(map(str, sorted(cores))),
        error=max(
            line["gap_error"]
            for key, group in groups.items()
            for line in group
            if key[0] != "moser"
        ),
    )
    methods = methods_in(groups)
    head = ["n", *(f"{NAMES[m]} | ms" for m in methods)]
    rows = []
    for dim in sorted({key[1] for key in groups}):
        row = [str(dim)]
        for method in methods:
            group = groups.get((method, dim), [])
            row += [mean(group, "nll_per_dim", 4), mean(group, "step_ms", 0)]
        rows.append(row)
    what = "Likelihood and time of a step against the dimension"
    moser = {
        f"for n = {n}": groups["moser", n]
        for n in sorted({key[1] for key in groups})
        if ("moser", n) in groups
    }
    return [
        text,
        table(" | ".join(head).split(" | "), rows),
        floors(moser, "$10^{-4}$"),
        figure("torus", what),
    ]


def floors(moser: dict[str, list[dict]], floor: str) -> str:
    """What the negative mass of Moser flows is."""
    added = (f"{mean(group, 'floor_mass', 2)} {name}" for name, group in moser.items())
    text = f"""\
The penalty of Moser flows on negative mass has the weight 2. Their densities are cut
off at {floor} of the uniform one, and normalised; to a mass of one this adds
{", ".join(added)}."""
    return text if moser else ""


def hyperbolic() -> list[str]:
    groups = grouped("hyperbolic", "method")
    if not groups:
        return []
    text = """## The hyperbolic plane

Mean log-likelihood of a mixture of four wrapped normals on $\\mathbb H^2$; higher
is better. RSGM noises by Langevin dynamics, whose transitions are walks, and is trained
by the implicit loss.

    python -m benchmarks.hyperbolic --method rsgm exp_wrapped"""
    head = ["", *FIT]
    rows = [[NAMES[method], *fit(group)] for (method,), group in groups.items()]
    what = "Log-densities on the Poincaré disc, from light to dark, and draws"
    return [text, table(head, rows), figure("hyperbolic", what)]


def passes() -> list[str]:
    found = lines("passes")
    if not found:
        return []
    text = """## Passes through the network

How many forward passes, passes of a tangent vector, and reverse passes a model on
$S^2$ takes to train on one point, to evaluate one density and to draw once: counted
while the programs ran. Where they take a field and its divergence at one point, the
forward pass counts twice; a compiler that finds common expressions makes it once. The
100 steps of a sampler by the reversed SDE are a setting; solvers of ODEs choose theirs.

    python -m benchmarks.passes"""
    kinds = "training", "density", "sample"
    show = lambda counts: " + ".join(f"{count:.0f}" for count in counts.values())
    rows = [
        [line["method"].replace("_", " "), *(show(line[kind]) for kind in kinds)]
        for line in found
    ]
    return [text, table(["", *kinds], rows)]


# What each sweep is drawn against, as a function of a line, and the slope of the bound
# on a manifold.
SWEEPS: dict[str, tuple[str, Callable, Callable]] = {
    "time": ("$T$", lambda line: line["time"], lambda space: -space.spectral_gap),
    "step": (
        "$\\log \\gamma$",
        lambda line: math.log(line["time"] / line["steps"]),
        lambda _: 0.5,
    ),
    "error": ("$\\log M$", lambda line: math.log(line["error"]), lambda _: 1.0),
    "error and time": (
        "$\\log T$, for $M = 0.3$",
        lambda line: math.log(line["time"]),
        lambda _: 0.5,
    ),
}


def bound() -> list[str]:
    groups = grouped("wasserstein_bound", "manifold", "sweep")
    if not groups:
        return []
    text = """## The bound on the Wasserstein distance

With an exact score, and errors planted in it: the distance of the sampled law to the
data against each term of the bound $C\\,(e^{-\\lambda_1 T} + \\sqrt{T/2}\\, M + e^T
\\gamma^{1/2})$ of De Bortoli et al. 2022 (Theorem 4.1, or 2 in the proceedings): $T$
is the time of the noise, $\\gamma$ the step, $M$ the length of an error of the score,
which points away from the origin, and $\\lambda_1$ the least eigenvalue of $-\\Delta$
above zero. The data are a heat kernel of variance 0.25 at the origin. Slopes are least
squares on the points that are at least four times as high as the noise of 32,768 draws
and, but for those against the step, at least three times as high as what is left at
$T = 3$ by a step of 1/200.

The bound is not tight in three places. The error against $T$ has no single slope: it is
steepest at first, and the number is a fit to the points above these limits, $T$ up to
1.5 at most. With an exact score and no step the density of the sampled law is known,
$p_0(x) \\int p_{T|0}(y \\mid x) / p_T(y)\\, \\mathrm dy$ over the
volume: on the circle the local slope of its error is -1.9 at $T = 1$, -1.3 at 2 and
-1.0 at 5, so that in the end $\\lambda_1$ is the rate. The error falls with the step
itself, not with its root, as it does for weak errors. And that of a planted error does
not grow with $T$, since the reversed process forgets it as it goes.

    python -m benchmarks.wasserstein_bound --manifold circle sphere 'SO(3)'"""
    head = ["", *MANIFOLDS, "the bound"]
    floors = {m: 3 * plateau(groups.get((m, "time"), [])) for m in MANIFOLDS}
    rows = [
        [
            f"$\\log W_1$ against {label}",
            *(
                slope(
                    groups.get((m, sweep), []), of, 0 if sweep == "step" else floors[m]
                )
                for m in MANIFOLDS
            ),
            ", ".join(f"{theory(space):g}" for space, _ in MANIFOLDS.values()),
        ]
        for sweep, (label, of, theory) in SWEEPS.items()
    ]
    what = (
        "The error as it was measured; dashed, the slope of each term of the bound, at "
        "a height of no meaning; dotted, the noise of the draws"
    )
    walk = "A geodesic step, and a path of the geodesic random walk"
    figures = figure("bound", what), figure("trajectory", walk)
    return [text, table(head, rows), *figures]


def plateau(group: list[dict]) -> float:
    """What is left at the longest of times."""
    return max(group, key=lambda line: line["time"])["w1"] if group else 0.0


def slope(group: list[dict], of: Callable[[dict], float], floor: float) -> str:
    clear = [line for line in group if line["w1"] > max(4 * line["noise"], floor)]
    if len(clear) < 3:
        return ""
    x = [of(line) for line in clear]
    y = [math.log(line["w1"]) for line in clear]
    return f"{np.polyfit(x, y, 1)[0]:.2f}"


def main():
    PAGE.write_text(page(), "utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
