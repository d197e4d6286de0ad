"""Table 4."""

from ._lines import lines
from ._tables import NAMES, table


def passes() -> list[str]:
    found = lines("passes")
    text = """## Passes through the network

How many forward passes, passes of a tangent vector, and reverse passes a model on
$S^2$ takes to train on one point, to evaluate one density and to draw once: counted
while the programs ran. Where they take a field and its divergence at one point, the
forward pass counts twice; a compiler that finds common expressions makes it once. The
100 steps of a sampler by the reversed SDE are a setting; solvers of ODEs choose theirs.
A density of the exp-wrapped model is a sum over three tangent vectors of one image,
whose ODEs are solved together, each for as long as the slowest.

    python -m experiments.passes"""
    kinds = "training", "density", "sample"
    show = lambda counts: " + ".join(f"{count:.0f}" for count in counts.values())
    rows = [
        [
            NAMES[line["method"].removeprefix("rsgm, ")],
            *(show(line[kind]) for kind in kinds),
        ]
        for line in found
    ]
    return [text, table(["", *kinds], rows)]
