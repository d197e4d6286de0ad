"""How long the densities of a score-based model take, here and in version 0.1.0.

    python -m benchmarks.likelihood

For the sphere S^2 and SO(3), one line of JSON each, with the medians of three processes
of either version, in turns:

- `density_s`: `rgen.log_prob` of 488 points, compiled, with the default network;
- `over_passes`: one evaluation of the field with its divergence at these points, over
  the time of d + 1 evaluations of the bare network, the fewest that it can take.
"""

# Runs under two versions of rgen.
# pyright: reportCallIssue=false, reportMissingImports=false

import json
import statistics
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


POINTS, ROUNDS = 488, 5
MANIFOLDS = {"S2": rgen.Sphere(2), "SO3": rgen.SpecialOrthogonal(3)}
OLD = rgen.__version__ == "0.1.0"


def seconds(f, *args):
    """The median time of a call, after one that compiles."""
    jax.block_until_ready(f(*args))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        jax.block_until_ready(f(*args))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def trained_like(score):
    """A field whose output is not zero, as that of a new one is."""
    network = score.network if OLD else score.field.network
    weight = jr.normal(jr.key(1), network.last.weight.shape) / 30
    last = lambda s: (s.network if OLD else s.field.network).last.weight
    return eqx.tree_at(last, score, weight)


def field_and_divergence(score, process):
    """What one evaluation of the ODE of a density computes."""
    t, zero = jnp.array(0.5), jnp.zeros(())
    flow = rgen.probability_flow(process, score)
    if not OLD:
        term = rgen.density_term(flow)
        return lambda x: term.vf(t, (x, zero), None)
    from rgen._ode import _DensityFlow

    field = lambda z, t: flow.vf(t, z, None)
    ode = _DensityFlow(process.manifold, field, rgen.ExactDivergence(), None)
    return lambda x: ode(t, (x, zero), None)


def once(name):
    manifold = MANIFOLDS[name]
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(1e-3, 5.0))
    score = trained_like(rgen.nn.ScoreField(process, key=jr.key(0)))
    x = jax.jit(jax.vmap(manifold.uniform))(jr.split(jr.key(2), POINTS))
    args = (score, process) if OLD else (rgen.ScoreModel(score, process),)
    density_s = seconds(lambda x: rgen.log_prob(*args, x), x)

    network = score.network if OLD else score.field.network
    inputs = jr.normal(
        jr.key(3), (POINTS * (manifold.dim + 1), network.first.in_features)
    )
    bare_s = seconds(jax.jit(jax.vmap(network)), inputs)
    both_s = seconds(jax.jit(jax.vmap(field_and_divergence(score, process))), x)
    print(json.dumps(dict(density_s=density_s, over_passes=both_s / bare_s)))


def main():
    from benchmarks._versions import compare

    for name in MANIFOLDS:
        line = {"benchmark": "likelihood", "manifold": name, "points": POINTS}
        for when, values in compare(__file__, 3, name).items():
            line |= {f"{when}_{key}": round(x, 4) for key, x in values.items()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    once(sys.argv[2]) if sys.argv[1:2] == ["--once"] else main()
