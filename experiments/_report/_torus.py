"""The torus, by its dimension."""

from ..torus import ENTROPY
from ._lines import grouped
from ._tables import NAMES, figure, floors, mean, methods_in, table


def torus() -> list[str]:
    groups = grouped("torus", "method", "dim")
    short = grouped("torus_times", "method", "dim")
    text = """## Dimension

One wrapped normal of scale 0.2 on $T^n$: negative log-likelihood per dimension, of
which the limit is {limit:.4f}, and milliseconds of a training step (cores: {cores}).
Densities take the exact divergence for n up to 10, and Hutchinson's estimate above.

    python -m experiments.torus --dim 1 10 100 --method denoising

The networks are an MLP and, beside it, a sum of harmonics of the angles whose gains
depend on the noise, for noise comes to each angle alone. That suits a target that is a
product of laws of one angle. The denoising loss is weighted by the variance, and the
others by $\\beta$, the weight of the likelihood. There is one seed; standard errors
of the likelihoods of RSGM are at most {error:.3f}.

A step of the implicit loss and one of a Moser flow take n passes of tangent vectors,
and of rows with a time and no likelihood only a few steps were made, to know that time.
Those rows, and all Moser flows, were timed on another machine, which takes about
{slower:.0f} times as long, now more and now less. Only the denoising loss comes within
0.01 of the limit for every n. Half of the points at which Moser flows pay for negative
mass are near the data: of uniform points fewer come there the more dimensions there
are."""
    cores = {line["cores"] for group in groups.values() for line in group}
    step = lambda groups: groups["implicit", 10][0]["step_ms"]
    text = text.format(
        limit=ENTROPY,
        slower=step(short) / step(groups),
        cores=" or ".join(map(str, sorted(cores))),
        error=max(
            line["gap_error"]
            for key, group in groups.items()
            for line in group
            if key[0] != "moser_flow"
        ),
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
    what = "Likelihood and time of a step against the dimension"
    moser = {
        f"for n = {n}": groups["moser_flow", n]
        for n in sorted({key[1] for key in groups})
        if ("moser_flow", n) in groups
    }
    return [
        text,
        table(head, rows),
        floors(moser, "$10^{-4}$"),
        figure("torus", what),
    ]
