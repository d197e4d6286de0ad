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
from .few_steps import CASES, geodesic_heun, munthe_kaas, teacher


POINTS, BLOCK = 2048, 512
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
    sampler = SOLVERS[solver](model.process, nfe)
    sampler = dataclasses.replace(sampler, grid=GRIDS[grid])
    found = distances(
        model.process.manifold, ends(model, sampler, seed), exact(case, seed)
    )
    return dict(
        distance=round(float(jnp.mean(found)), 5),
        median=round(float(jnp.median(found)), 5),
        points=POINTS,
        **machine(),
    )


@functools.cache
def exact(case, seed):
    """Where the flow leads."""
    return ends(teacher(case, seed).model, FLOW, seed)


def ends(model, sampler, seed):
    return rgen.sample(
        eqx.tree_at(lambda m: m.sampler, model, sampler),
        jr.key(seed),
        POINTS,
        chunk_size=BLOCK,
    )


@eqx.filter_jit
def distances(manifold, x, y):
    return jax.vmap(manifold.dist)(x, y)


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
