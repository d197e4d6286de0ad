"""The hyperbolic plane."""

from ._lines import grouped
from ._tables import FIT, NAMES, figure, fit, table


def hyperbolic() -> list[str]:
    groups = grouped("hyperbolic", "method")
    text = """## The hyperbolic plane

Mean log-likelihood of a mixture of four wrapped normals on $\\mathbb H^2$; higher
is better. RSGM noises by Langevin dynamics, whose transitions are walks, and is trained
by the implicit loss.

    python -m experiments.hyperbolic --method rsgm exp_wrapped"""
    head = ["", *FIT]
    rows = [[NAMES[method], *fit(group)] for (method,), group in groups.items()]
    what = "Log-densities on the Poincaré disc, from light to dark, and draws"
    return [text, table(head, rows), figure("hyperbolic", what)]
