"""How far few steps of a solver end from the flow, by their grid of times.

    python -m experiments.solver_errors --case flood rotations_32 side_chains

The score is the teacher of `experiments.few_steps`. One line of JSON for each case,
solver, grid, seed and number of network evaluations, `nfe`: `distance` is the mean
geodesic distance, in radians, between samples and where the flow leads from the same
noise, and `median` the median. The grid `log` has equal steps of the logarithm of the
variance, and `power` is `rgen.PowerGrid()`.
"""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._results import machine
from ._runner import SEED, Experiment, Option, run
from .few_steps import CASES, ends, geodesic_heun, munthe_kaas, teacher


POINTS = 2048
# Of order two: below a hundredth of the error of 30 steps.
FLOW = rgen.FewSteps(512)
SOLVERS = {
    "multistep": lambda process, nfe: rgen.FewSteps(nfe),
    "geodesic_heun": geodesic_heun,
    "munthe_kaas": munthe_kaas,
}
GRIDS = {"log": rgen.AbstractProcess.time_grid, "power": rgen.PowerGrid()}
EVALUATIONS = 6, 12, 18, 30


def line(case, solver, grid, seed, nfe):
    model = teacher(case, seed).model
    process = model.process
    sampler = SOLVERS[solver](process, nfe)
    sampler = dataclasses.replace(sampler, grid=GRIDS[grid])
    x, exact = noise_and_ends(case, seed)
    apart = eqx.filter_jit(jax.vmap(process.manifold.dist))
    found = apart(ends(process, model.score, x, sampler), exact)
    return dict(
        distance=round(float(jnp.mean(found)), 5),
        median=round(float(jnp.median(found)), 5),
        points=POINTS,
        **machine(),
    )


@functools.cache
def noise_and_ends(case, seed):
    """Points of the prior, and where the flow leads from there."""
    model = teacher(case, seed).model
    keys = jr.split(jr.key(seed), POINTS)
    x = jax.vmap(model.process.prior.sample)(keys)
    return x, ends(model.process, model.score, x, FLOW)


EXPERIMENT = Experiment(
    (
        Option("case", choices=CASES),
        Option("solver", tuple(SOLVERS), choices=SOLVERS),
        Option("grid", tuple(GRIDS), choices=GRIDS),
        SEED,
    ),
    line,
    ("nfe",),
    lambda **options: [(n,) for n in EVALUATIONS],
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
