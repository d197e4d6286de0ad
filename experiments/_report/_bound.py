"""Theorem 2."""

import math
from collections.abc import Callable

import numpy as np

from benchmarks._page import table

from ..wasserstein_bound import MANIFOLDS
from ._lines import grouped
from ._tables import decimals


# The abscissa of each sweep: its label, its value for a line, and the slope of the
# bound on a manifold.
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
    "step and time": (
        "$T$, for $\\gamma = 1/8$",
        lambda line: line["time"],
        lambda _: 1.0,
    ),
}


def bound() -> dict[str, str]:
    groups = grouped("wasserstein_bound", "manifold", "sweep")
    head = ["", *MANIFOLDS, "the bound"]
    floors = {m: 3 * plateau(groups.get((m, "time"), [])) for m in MANIFOLDS}
    floor = lambda m, sweep: 0.0 if sweep.startswith("step") else floors[m]
    rows = [
        [
            f"$\\log W_1$ against {label}",
            *(
                slope(groups.get((m, sweep), []), of, floor(m, sweep))
                for m in MANIFOLDS
            ),
            ", ".join(f"{theory(space):g}" for space, _ in MANIFOLDS.values()),
        ]
        for sweep, (label, of, theory) in SWEEPS.items()
    ]
    return {"table": table(head, rows)}


def plateau(group: list[dict]) -> float:
    """What is left at the longest of times."""
    return max(group, key=lambda line: line["time"])["w1"] if group else 0.0


def slope(group: list[dict], of: Callable[[dict], float], floor: float) -> str:
    clear = [line for line in group if line["w1"] > max(4 * line["noise"], floor)]
    if len(clear) < 3:
        return ""
    x = [of(line) for line in clear]
    y = [math.log(line["w1"]) for line in clear]
    return decimals(float(np.polyfit(x, y, 1)[0]), 2)
