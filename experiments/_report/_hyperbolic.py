"""The hyperbolic plane."""

from benchmarks._page import table

from ._lines import grouped
from ._tables import FIT, NAMES, fit


def hyperbolic() -> dict[str, str]:
    groups = grouped("hyperbolic", "method")
    rows = [[NAMES[method], *fit(group)] for (method,), group in groups.items()]
    return {"table": table(["", *FIT], rows)}
