"""The short page: the findings, and the main table of each experiment."""

from benchmarks._page import table

from .._published import EARTH, ROTATIONS
from ..earth import DATASETS
from ..torus import ENTROPY
from ._earth import earth_verdict, nlls, of_protocol
from ._lines import grouped, values
from ._tables import NAMES, interval, mean
from ._torus import within


PROTOCOLS = {
    "legacy": "random",
    "distinct": "random, distinct rows",
    "cells": "whole cells",
}


def summary() -> dict[str, str]:
    models = grouped("rotations", "method")["rsgm",]
    return {
        "better": earth_verdict(of_protocol("legacy")),
        "gap": f"{max(values(models, 'gap')):.3f}",
        "evaluations": f"{max(values(models, 'sample_evaluations')):.0f}",
        "dim": str(max(dim for (dim,) in grouped("torus", "dim"))),
        "within": within(0.01),
        "entropy": f"{ENTROPY:.4f}",
        "earth": earth(),
        "rotations": rotations(),
        "torus": torus(),
        "hyperbolic": hyperbolic(),
    }


def earth() -> str:
    published = [EARTH["rsgm"][dataset] for dataset in DATASETS]
    rows = [[PROTOCOLS["legacy"], "RSGM, published", *published]]
    for protocol, split in PROTOCOLS.items():
        groups = of_protocol(protocol)
        for method in ("rsgm", "kernel_mixture"):
            found = [nlls(groups[method, dataset]) for dataset in DATASETS]
            rows.append([split, NAMES[method], *found])
    return table(["split", "", *(d.capitalize() for d in DATASETS)], rows)


def rotations() -> str:
    groups = grouped("rotations", "method", "components")
    methods = ("rsgm", "exp_wrapped", "moser_flow")
    rows = []
    for components in sorted({key[1] for key in groups}):
        own = groups["rsgm", components]
        found = [log_likelihood(groups[method, components]) for method in methods]
        published = ROTATIONS["rsgm"][components][0]
        rows.append([str(components), published, *found, mean(own, "ceiling", 3)])
    names = [NAMES[method] for method in methods]
    return table(["K", "RSGM, published", *names, "target"], rows)


def torus() -> str:
    groups = grouped("torus", "method", "dim")
    methods = ("denoising", "hutchinson", "sliced", "moser_flow")
    rows = []
    for dim in sorted({key[1] for key in groups}):
        found = [mean(groups.get((m, dim), []), "nll_per_dim", 4) for m in methods]
        rows.append([str(dim), *found])
    return table(["n", *(NAMES[method] for method in methods)], rows)


def hyperbolic() -> str:
    groups = grouped("hyperbolic", "method")
    rows = [
        [NAMES[method], log_likelihood(group), mean(group, "ceiling", 3)]
        for (method,), group in groups.items()
    ]
    return table(["", "log-likelihood", "target"], rows)


def log_likelihood(group: list[dict]) -> str:
    return interval([line["log_likelihood"] for line in group], 3)
