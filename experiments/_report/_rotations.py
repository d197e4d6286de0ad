"""Table 5."""

from .._published import ROTATIONS
from ..rotations import RESOLUTION, STEPS
from ._lines import grouped
from ._tables import FIT, FIT_TEXT, NAMES, figure, fit, floors, methods_in, table


# To first order, v / 2 for each dimension and unit of the precision of the angle, of
# which the mean is 200.
BLUR_COST = 3 * 200 * RESOLUTION / 2


def rotations() -> list[str]:
    groups = grouped("rotations", "components", "method")
    most = max(
        line["most_density_evaluations"]
        for key, group in groups.items()
        for line in group
        if key[1] == "rsgm"
    )
    text = f"""## Rotations

Mean log-likelihood of mixtures of $K$ wrapped normals on $SO(3)$; higher is better.
Models see fresh draws at each of {STEPS:,} steps; Moser flows have an eighth
of the steps, each being dearer, at three times the rate. Three quarters of the times
that RSGM is trained at are in the middle half of the range of the logarithm of the
variance, where the components part from one another; those of the exp-wrapped model are
stratified, and not tuned. With one seed a difference of 0.005 says nothing.

    python -m experiments.rotations --components 16 32 64 --method rsgm

{FIT_TEXT} The ceiling differs from draw to draw of the components. Draws of RSGM and of
the exp-wrapped model keep noise of the variance {RESOLUTION}, which alone
takes up to about {BLUR_COST:.3f} off log p; the draws of Moser flows that go astray,
where they have negative mass, take more. The paper states one number of evaluations;
for a density RSGM takes {most} at most."""
    head = ["K", "", "paper", "evaluations", *FIT]
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
    what = "Euler angles of the target with 32 components, and of draws of the model"
    moser = {
        f"for K = {k}": groups[k, "moser_flow"]
        for k in sorted({key[0] for key in groups})
        if (k, "moser_flow") in groups
    }
    floor = floors(moser, "$10^{-4}$")
    return [text, table(head, rows), floor, figure("rotations", what)]
