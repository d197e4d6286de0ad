"""The torus, by its dimension."""

from benchmarks._page import table

from ..torus import ENTROPY, METHODS
from ._lines import grouped
from ._tables import NAMES, floors, mean, methods_in


def torus() -> dict[str, str]:
    groups = grouped("torus", "method", "dim")
    short = grouped("torus_times", "method", "dim")
    cores = {line["cores"] for group in groups.values() for line in group}
    step = lambda groups: groups["implicit", 10][0]["step_ms"]
    error = max(
        line["gap_error"]
        for key, group in groups.items()
        for line in group
        if key[0] != "moser_flow"
    )
    methods, timed = methods_in(groups), short | groups
    head = ["n", *(cell for m in methods for cell in (NAMES[m], "ms"))]
    rows = []
    for dim in sorted({key[1] for key in timed}):
        row = [str(dim)]
        for case in ((method, dim) for method in methods):
            row.append(mean(groups.get(case, []), "nll_per_dim", 4))
            row.append(mean(timed.get(case, []), "step_ms", 0))
        rows.append(row)
    moser = {
        f"for n = {n}": groups["moser_flow", n]
        for n in sorted({key[1] for key in groups})
        if ("moser_flow", n) in groups
    }
    return {
        "entropy": f"{ENTROPY:.4f}",
        "cores": " or ".join(map(str, sorted(cores))),
        "error": f"{error:.3f}",
        "within": within(0.01),
        "slower": f"{step(short) / step(groups):.0f}",
        "table": table(head, rows),
        "floors": floors(moser),
    }


def within(limit: float) -> str:
    """The methods whose NLL per dimension is within a limit of the entropy at every
    dimension of the page."""
    groups = grouped("torus", "method", "dim")
    every = {dim for _, dim in groups}
    near = {
        key
        for key, group in groups.items()
        if all(line["nll_per_dim"] - ENTROPY < limit for line in group)
    }
    found = [m for m in METHODS if all((m, dim) in near for dim in every)]
    return " and ".join(found) or "no"
