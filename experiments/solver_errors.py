"""How far few steps of a solver end from the flow, by their grid of times.

    python -m experiments.solver_errors --case flood rotations_32 side_chains

The score is the teacher of `experiments.few_steps`. One line of JSON for each case,
solver, grid, seed and number of network evaluations, `nfe`: `distance` is the mean
geodesic distance, in radians, between samples and where the flow leads from the same
noise, and `median` the median. The grid `log` has equal steps of the logarithm of the
variance, and `power` is `rgen.PowerGrid()`.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._results import machine
from ._runner import SEED, Experiment, Option, run
from .few_steps import CASES, geodesic_heun, munthe_kaas, teacher


POINTS, BLOCK = 2048, 512
# A solver of order two, at a hundredth of the error of ten steps.
FLOW = rgen.FewSteps(128)
SOLVERS = {
    "multistep": lambda process, nfe: rgen.FewSteps(nfe),
    "geodesic_heun": geodesic_heun,
    "munthe_kaas": munthe_kaas,
}
GRIDS = {"log": rgen.AbstractProcess.time_grid, "power": rgen.PowerGrid()}
EVALUATIONS = 6, 12, 18, 30


def line(case, solver, grid, seed, nfe):
    model = teacher(case, seed).model
    sampler = SOLVERS[solver](model.process, nfe)
    found = distances(
        model, dataclasses.replace(sampler, grid=GRIDS[grid]), jr.key(seed)
    )
    return dict(
        distance=round(float(jnp.mean(found)), 5),
        median=round(float(jnp.median(found)), 5),
        points=POINTS,
        **machine(),
    )


@eqx.filter_jit
def distances(model, sampler, key):
    process = model.process

    def one(key):
        x = process.prior.sample(key)
        few, many = (s(model.score, process, x, key)[0] for s in (sampler, FLOW))
        return process.manifold.dist(few, many)

    return jax.lax.map(one, jr.split(key, POINTS), batch_size=BLOCK)


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
