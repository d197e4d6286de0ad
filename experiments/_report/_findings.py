"""What the page opens with."""

from ._earth import earth_verdict, of_protocol
from ._lines import grouped, values
from ._torus import within


def findings() -> dict[str, str]:
    models = grouped("rotations", "method")["rsgm",]
    return {
        "better": earth_verdict(of_protocol("legacy")),
        "gap": f"{max(values(models, 'gap')):.3f}",
        "evaluations": f"{max(values(models, 'sample_evaluations')):.0f}",
        "dim": str(max(dim for (dim,) in grouped("torus", "dim"))),
        "within": within(0.01),
    }
