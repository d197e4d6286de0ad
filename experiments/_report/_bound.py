"""Theorem 2."""

import math
from collections.abc import Callable

import numpy as np

from ..wasserstein_bound import MANIFOLDS
from ._lines import grouped
from ._tables import decimals, figure, table


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
    "step and time": (
        "$T$, for $\\gamma = 1/8$",
        lambda line: line["time"],
        lambda _: 1.0,
    ),
}


def bound() -> list[str]:
    groups = grouped("wasserstein_bound", "manifold", "sweep")
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

Where the two part. The error against $T$ has no single slope: it is steepest at first,
and the number is a fit to the points above these limits, $T$ up to 1.5 at most. With an
exact score and no step the density of the sampled law is known, $p_0(x) \\int
p_{T|0}(y \\mid x) / p_T(y)\\, \\mathrm dy$ over the volume: on the circle the local
slope of its error is -1.9 at $T = 1$, -1.3 at 2 and -1.0 at 5, so that $\\lambda_1$ is
the rate there, in the end. The error falls with the step itself, not with its root, as
it does for weak errors. And neither that of a step nor that of a planted error grows
with $T$, since the reversed process forgets them as it goes: there the bound is not
tight.

    python -m experiments.wasserstein_bound --manifold circle sphere 'SO(3)'"""
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
    return decimals(float(np.polyfit(x, y, 1)[0]), 2)
