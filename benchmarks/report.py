"""Writes docs/results.md from the committed results, `benchmarks/results/*.jsonl`.

python -m benchmarks.report
"""

import math
import pathlib
from collections import defaultdict

import numpy as np
import scipy.stats

from ._published import EARTH, RIVAL, ROTATIONS
from ._results import Results, read


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
    "moser": "Moser flow",
}
# What tells the lines of a file apart, and what all of them have in common.
CASES: dict[str, tuple[tuple[str, ...], dict]] = {
    "earth": (
        ("method", "dataset", "protocol", "seed"),
        {"steps": None, "resolution": 1e-5},
    ),
    "rotations": (("method", "components", "seed"), {"steps": None}),
    "torus": (("method", "dim", "seed"), {}),
    "hyperbolic": (("method", "seed"), {"steps": None}),
    "passes": (("method",), {"steps": 1000}),
    "wasserstein_bound": (("manifold", "sweep", "time", "steps", "error"), {}),
}
# Of a model whose target is known.
FIT = ["rgen", "ceiling", "gap", "evaluations: density", "draw", "integral"]
DATASETS = ["volcano", "earthquake", "flood", "fire"]
MANIFOLDS = ["circle", "sphere", "SO(3)"]

INTRODUCTION = """# Results

What the models of rgen do in the experiments of De Bortoli et al. 2022, beside the
numbers that were published. Every number of rgen's is from a line of JSON in
`benchmarks/results`, and this page is made of those lines:

    python -m benchmarks.report

All numbers are in nats. Intervals are those of 95 %, by Student's distribution over
the seeds, of which the number is in brackets; a cell without a number has not been
run."""

EARTH_TEXT = """## Events on the globe

Mean negative log-likelihood of test points on $S^2$; lower is better. Any cell is
run by one command, the data being downloaded at first use:

    python -m benchmarks.earth --dataset flood --method rsgm --seed 0 1 2 3 4

Every model is blurred by a variance of at least $10^{-5}$ square radians, 20 km on
the Earth: without a blur the likelihood is unbounded where data repeat or lie on a
grid. The kernel mixture has kernels on the training points, none of them narrower
than that blur: the floor for a model that has learnt anything.

RSGM is the mean of three small networks, on the floods of six, and its blur is the best
of four on validation; one network of the size of its rivals' stands beside it. How long
networks train is set by data set, and how strongly their waves are damped: half as much
on the fires, whose clumps take long to fit, and twice as much on the floods, where
networks soon fit noise. This was found with the first three seeds. The others are
alone and keep the first blur. Flows are trained on points that are blurred so, which
does not bound how sharp they can be: Moser flows on ten times the variance, for with
finer waves they have negative mass between the data, and the Riemannian CNF on a
hundred times, for its solver takes ever shorter steps. The densities of Moser flows
are cut off at 0.03 of the uniform one, and normalised. The published numbers of flow
matching were not checked, but for the fires."""

PROTOCOLS = {
    "legacy": """### The paper's protocol

A random split for each seed, duplicates included. **The volcanoes' column says
little.** Of 827 rows 267 are distinct, so that about 79 % of the test points are
copies of training points, and the likelihood measures how sharply a model
remembers: it has no lower bound as the resolution gets finer. At the resolution of
this page no model comes near the sharpest published numbers. 16 % of the
earthquakes are copies too.""",
    "distinct": """### Distinct rows

Rows whose coordinates agree to 0.001 degrees are kept once, then split at random.""",
    "cells": """### Whole cells held out

Distinct rows, and whole cells of about two degrees go to training, validation or
test: a model has to generalise to places where it has seen nothing. Networks read
no waves that are finer than a cell.""",
}


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
    fields, settings = CASES[name]
    path = RESULTS / f"{name}.jsonl"
    Results(str(path), fields)
    found = read(path)
    for line in found:
        if any(line[field] != value for field, value in settings.items()):
            raise ValueError(
                f"{path}: expected lines with {settings} only, got {line}. Keep those "
                "of other settings elsewhere."
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


def interval(values: list[float], digits: int = 2) -> str:
    """The mean, its 95 % interval, and the number of values."""
    n = len(values)
    if n == 0:
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    if n == 1:
        return f"{mean} (1)"
    half = scipy.stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)
    return f"{mean} ± {half:.{digits}f} ({n})"


def mean(group: list[dict], field: str, digits: int) -> str:
    values = [line[field] for line in group if line.get(field) is not None]
    return f"{np.mean(values):.{digits}f}" if values else ""


def fit(group: list[dict]) -> list[str]:
    """The columns [`FIT`][] of results that `benchmarks._quality` has written."""
    return [
        interval([line["log_likelihood"] for line in group], 3),
        mean(group, "ceiling", 3),
        mean(group, "gap", 3),
        mean(group, "density_evaluations", 0),
        mean(group, "sample_evaluations", 0),
        mean(group, "mass", 3),
    ]


def methods_in(groups: dict[tuple, list[dict]], first: int = 0) -> list[str]:
    found = {key[first] for key in groups}
    return [name for name in NAMES if name in found]


def earth() -> list[str]:
    groups = grouped("earth", "protocol", "method", "dataset")
    if not groups:
        return []
    what = "Learnt densities, with the test points of one split"
    parts = [EARTH_TEXT, figure("earth", what)]
    for protocol, text in PROTOCOLS.items():
        own = {key[1:]: group for key, group in groups.items() if key[0] == protocol}
        if own:
            parts += [text, earth_likelihoods(protocol, own), earth_samples(own)]
    return parts


def earth_likelihoods(protocol: str, own: dict[tuple, list[dict]]) -> str:
    head = ["", "", *(d.capitalize() for d in DATASETS), "core-minutes of a seed"]
    rows = []
    for method in methods_in(own):
        published = EARTH.get(method, {}) if protocol == "legacy" else {}
        if published:
            rows.append([NAMES[method], "paper", *(published[d] for d in DATASETS), ""])
        cells = [
            interval([line["test_nll"] for line in own.get((method, d), [])])
            for d in DATASETS
        ]
        minutes = [core_minutes(own.get((method, d), [])) for d in DATASETS]
        name = "" if published else NAMES[method]
        rows.append([name, "rgen", *cells, ", ".join(minutes)])
    if protocol == "legacy":
        rows.append([RIVAL[0], "paper", *(RIVAL[1][d] for d in DATASETS), ""])
    return table(head, rows)


def core_minutes(group: list[dict]) -> str:
    minutes = [line["cores"] * line["train_seconds"] / 60 for line in group]
    return f"{np.mean(minutes):.1f}" if minutes else "–"


def earth_samples(own: dict[tuple, list[dict]]) -> str:
    text = (
        "Between the test points and as many draws: the Wasserstein-1 distance in "
        "radians, and the squared maximum mean discrepancy under the heat kernel of "
        "variance 0.01. Draws of the kernel mixture are training points that are moved "
        "a little: what comes near it cannot be told from the data by these."
    )
    rows = []
    for method in methods_in(own):
        groups = [own.get((method, d), []) for d in DATASETS]
        cells = [
            f"{mean(g, 'wasserstein', 3)}, {mean(g, 'squared_mmd', 3)}" if g else ""
            for g in groups
        ]
        rows.append([NAMES[method], *cells])
    return text + "\n\n" + table(["", *(d.capitalize() for d in DATASETS)], rows)


def rotations() -> list[str]:
    groups = grouped("rotations", "components", "method")
    if not groups:
        return []
    text = """## Rotations

Mean log-likelihood of mixtures of $K$ wrapped normals on $SO(3)$; higher is better.
The ceiling is that of the target itself, which differs from draw to draw of its
components; the gap to it is what a model lacks. Models see fresh draws at every
step.

    python -m benchmarks.rotations --components 16 32 64 --method rsgm

Evaluations are of the network, for one density and for one draw. The paper states
one number."""
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
    return [text, table(head, rows), figure("rotations", what)]


def torus() -> list[str]:
    groups = grouped("torus", "method", "dim")
    if not groups:
        return []
    text = """## Dimension

One wrapped normal of scale 0.2 on $T^n$: negative log-likelihood per dimension, of
which the limit is -0.1905, and milliseconds of a training step on {cores} cores.

    python -m benchmarks.torus --dim 1 10 100 --method denoising

The networks are an MLP and, beside it, a sum of harmonics of the angles whose gains
depend on the noise, for noise comes to each angle alone."""
    cores = {line["cores"] for group in groups.values() for line in group}
    text = text.format(cores=" or ".join(map(str, sorted(cores))))
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
    return [text, table(" | ".join(head).split(" | "), rows), figure("torus", what)]


def hyperbolic() -> list[str]:
    groups = grouped("hyperbolic", "method")
    if not groups:
        return []
    text = """## The hyperbolic plane

Mean log-likelihood of a mixture of four wrapped normals on $\\mathbb H^2$; higher
is better.

    python -m benchmarks.hyperbolic --method rsgm exp_wrapped"""
    head = ["", *FIT]
    rows = [[NAMES[method], *fit(group)] for (method,), group in groups.items()]
    what = "Densities on the Poincaré disc, from light to dark, and draws"
    return [text, table(head, rows), figure("hyperbolic", what)]


def passes() -> list[str]:
    found = lines("passes")
    if not found:
        return []
    text = """## Passes through the network

How many forward passes, passes of a tangent vector, and reverse passes a model on
$S^2$ takes to train on one point, to evaluate one density and to draw once: counted
while the programs ran. Where they take a field and its divergence at one point, the
forward pass counts twice; a compiler that finds common expressions makes it once.

    python -m benchmarks.passes"""
    kinds = "training", "density", "sample"
    show = lambda counts: " + ".join(f"{count:.0f}" for count in counts.values())
    rows = [
        [line["method"].replace("_", " "), *(show(line[kind]) for kind in kinds)]
        for line in found
    ]
    return [text, table(["", *kinds], rows)]


# What each sweep is drawn against, as a function of a line, and the slope of the bound.
SWEEPS = {
    "time": ("$T$", lambda line: line["time"], "$-\\lambda_1$: -1, -2, -2"),
    "step": (
        "$\\log \\gamma$",
        lambda line: math.log(line["time"] / line["steps"]),
        "1/2",
    ),
    "error": ("$\\log M$", lambda line: math.log(line["error"]), "1"),
    "error and time": (
        "$\\log T$, for $M = 0.3$",
        lambda line: math.log(line["time"]),
        "1/2",
    ),
}


def bound() -> list[str]:
    groups = grouped("wasserstein_bound", "manifold", "sweep")
    if not groups:
        return []
    text = """## The bound on the Wasserstein distance

With an exact score, and errors planted in it: the distance of the sampled law to
the data against each term of the bound $C\\,(e^{-\\lambda_1 T} + \\sqrt{T/2}\\, M +
e^T \\gamma^{1/2})$ of De Bortoli et al. 2022. Slopes are least squares on the
points that are at least four times as high as the noise of 32,768 draws.

Theory and measurement part in two places: the error falls with the step itself, not
with its root, as it does for weak errors; and that of a planted error does not grow
with $T$, since the reversed process forgets it as it goes.

    python -m benchmarks.wasserstein_bound --manifold circle sphere 'SO(3)'"""
    head = ["", *MANIFOLDS, "the bound"]
    rows = [
        [
            f"$\\log W_1$ against {label}",
            *(slope(groups.get((m, sweep), []), of) for m in MANIFOLDS),
            theory,
        ]
        for sweep, (label, of, theory) in SWEEPS.items()
    ]
    what = "Each term of the bound, and the error as it was measured"
    walk = "A geodesic step, and a path of the geodesic random walk"
    figures = figure("bound", what), figure("trajectory", walk)
    return [text, table(head, rows), *figures]


def slope(group: list[dict], of) -> str:
    clear = [line for line in group if line["w1"] > 4 * line["noise"]]
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
