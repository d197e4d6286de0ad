"""Table 5."""

from benchmarks._page import table

from .._published import ROTATIONS
from ..rotations import MIN_VARIANCE, STEPS
from ._lines import grouped
from ._tables import FIT, NAMES, fit, floors, methods_in


# To first order, v / 2 for each dimension and unit of the precision of the angle, of
# which the mean is 200.
NOISE_COST = 3 * 200 * MIN_VARIANCE / 2


def rotations() -> dict[str, str]:
    groups = grouped("rotations", "components", "method")
    most = max(
        line["most_density_evaluations"]
        for key, group in groups.items()
        for line in group
        if key[1] == "rsgm"
    )
    head = ["K", "", "paper", "paper's NFE", *FIT]
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
    moser = {
        f"for K = {k}": groups[k, "moser_flow"]
        for k in sorted({key[0] for key in groups})
        if (k, "moser_flow") in groups
    }
    return {
        "steps": f"{STEPS:,}",
        "resolution": str(MIN_VARIANCE),
        "cost": f"{NOISE_COST:.3f}",
        "most": str(most),
        "table": table(head, rows),
        "floors": floors(moser),
    }
