"""Table 4."""

from benchmarks._page import table

from ._lines import lines
from ._tables import NAMES


def passes() -> dict[str, str]:
    found = lines("passes")
    kinds = "training", "density", "sample"
    show = lambda counts: " + ".join(f"{count:.0f}" for count in counts.values())
    rows = [
        [
            NAMES[line["method"].removeprefix("rsgm, ")],
            *(show(line[kind]) for kind in kinds),
        ]
        for line in found
    ]
    return {"table": table(["", *kinds], rows)}
