"""The hyperbolic plane."""

from ._lines import grouped
from ._tables import FIT, NAMES, fit, table


def hyperbolic() -> dict[str, str]:
    groups = grouped("hyperbolic", "method")
    rows = [[NAMES[method], *fit(group)] for (method,), group in groups.items()]
    return {"table": table(["", *FIT], rows)}
