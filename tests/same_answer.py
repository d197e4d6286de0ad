"""Samples and densities of fixed models and keys, for the tests that compare them
between chunks, devices, processors and versions.

python tests/same_answer.py CHUNK_SIZE
python tests/same_answer.py sharded

One line of JSON for each case: the first values, the mean of all, and a digest of the
bits of all. With `sharded` the points are sharded over all devices. The lines of one
machine are in `same_answer.jsonl`.
"""

import hashlib
import json
import sys

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import rgen


S2, T3, SO3 = rgen.Sphere(2), rgen.Torus(3), rgen.SpecialOrthogonal(3)
# Sixteen points for each of eight devices.
N = 128
SIZE = dict(width=32, depth=2, frequencies=8)


def network(make, process):
    """With weights of its own in the last layer too, which begins at zero."""
    field = make(process, **SIZE, key=jr.key(0))
    shift = lambda w: w + 0.1 * jr.normal(jr.key(1), w.shape, w.dtype)
    return jax.tree.map(lambda w: shift(w) if eqx.is_inexact_array(w) else w, field)


def model(manifold, sampler):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(1e-3))
    return rgen.ScoreModel(network(rgen.nn.ScoreField, process), process, sampler)


def flow_map():
    process = rgen.Brownian(T3, rgen.LogUniformSchedule(1e-3))
    field = network(rgen.nn.FlowMapField, process)
    return rgen.FlowMap(process.prior, field, (0.0, 0.5, 1.0))


SAMPLES = {
    "S2, wrapped normal": lambda: rgen.WrappedNormal(S2, S2.origin, 0.5),
    "S2, reverse SDE": lambda: model(S2, rgen.ReverseSDE(20)),
    "S2, probability flow": lambda: model(S2, rgen.ProbabilityFlow()),
    "T3, few steps": lambda: model(T3, rgen.FewSteps(8)),
    "T3, flow map": flow_map,
    "SO(3), reverse SDE": lambda: model(SO3, rgen.ReverseSDE(20)),
}


def sharded(x):
    mesh = jax.make_mesh((len(jax.devices()),), ("i",), axis_types=(AxisType.Auto,))
    return jax.device_put(x, NamedSharding(mesh, PartitionSpec("i")))


@eqx.filter_jit
def on_every_device(f, rows):
    return jax.vmap(f)(rows)


def values(how):
    for name, make in SAMPLES.items():
        distribution = make()
        if how == "sharded":
            keys = sharded(jr.split(jr.key(2), N))
            yield name, on_every_device(distribution.sample, keys)
        else:
            chunks = {"chunk_size": int(how)}
            yield name, rgen.sample(distribution, jr.key(2), N, **chunks)
    density = model(S2, rgen.ReverseSDE(20))
    x = rgen.sample(rgen.Uniform(S2), jr.key(3), N)
    if how == "sharded":
        yield "S2, density", rgen.log_prob(density, sharded(x))
    else:
        yield "S2, density", rgen.log_prob(density, x, chunk_size=int(how))


def main(how):
    for name, value in values(how):
        value = np.asarray(value)
        assert np.isfinite(value).all()
        digest = hashlib.sha256(value.tobytes()).hexdigest()
        line = {
            "case": name,
            "first": value[:3].tolist(),
            "mean": value.mean(0).tolist(),
            "digest": digest,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
