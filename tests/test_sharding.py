"""Samples inside of `jax.shard_map`, and batches that are sharded over explicit axes:
on two devices, in a process of their own. Trainings over eight devices, and over two
processes."""

import os
import pathlib
import socket
import subprocess
import sys

import equinox as eqx
import jax
import numpy as np
import pytest

import rgen


_PREAMBLE = """
import contextlib, equinox as eqx, numpy as np, rgen
import jax, jax.numpy as jnp, jax.random as jr
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
S2 = rgen.Sphere(2)
assert len(jax.devices()) == 2
"""

_SHARD_MAP = """
mesh = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Auto,))
centres = jnp.eye(3)
keys = jr.split(jr.key(0), 8)
means = jax.vmap(S2.uniform)(keys)
for distribution in (
    rgen.VonMisesFisher(S2.origin, 30.0),
    rgen.Kent(jnp.eye(3), 30.0, 12.0),
    rgen.KernelMixture(
        rgen.VonMisesFisherKernel(S2), centres, jnp.array([0.1]), jnp.zeros(1)
    ),
):
    sample = jax.vmap(distribution.sample)
    apart = jax.shard_map(sample, mesh=mesh, in_specs=P("i"), out_specs=P("i"))
    np.testing.assert_allclose(jax.jit(apart)(keys), jax.jit(sample)(keys), atol=1e-6)

# Parameters that vary and keys that do not, and the other way round.
sample = lambda means, keys: jax.vmap(
    lambda mean, key: rgen.VonMisesFisher(mean, 30.0).sample(key)
)(means, keys)
for specs in ((P("i"), P()), (P(), P("i"))):
    args = [a if spec == P("i") else a[:4] for a, spec in zip((means, keys), specs)]
    apart = jax.shard_map(sample, mesh=mesh, in_specs=specs, out_specs=P("i"))
    assert jax.jit(apart)(*args).shape == (8, 3)

# A device cannot raise an error: what would be one is NaN.
apart = jax.shard_map(sample, mesh=mesh, in_specs=P("i"), out_specs=P("i"))
x = jax.jit(apart)(means.at[3].multiply(2), keys)
np.testing.assert_array_equal(np.isnan(x).all(1), np.arange(8) == 3)
"""

_EXPLICIT = """
mesh = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Explicit,))
x = np.asarray(jax.vmap(S2.uniform)(jr.split(jr.key(0), 20)))
sharded = jax.device_put(x, NamedSharding(mesh, P("i")))
same = lambda f: jax.tree.map(np.testing.assert_array_equal, f(sharded), f(x))
batch = lambda x: rgen.datasets.minibatch(jr.key(1), x, 6)
same(batch)
same(jax.jit(batch))
assert jax.typeof(batch(sharded)).sharding.spec[0] == "i"
same(lambda x: rgen.datasets.random_split(jr.key(1), x))
same(lambda x: rgen.datasets.distinct(x))
same(lambda x: rgen.datasets.cell_split(jr.key(1), x, 20.0))
same(lambda x: rgen.metrics.wasserstein(S2, x, -x))
# The sums may come in another order.
mmd = lambda x: rgen.metrics.squared_mmd(S2, x, -x, 0.5)
np.testing.assert_allclose(mmd(sharded), mmd(x), atol=1e-6)
mmd = lambda x: rgen.metrics.biased_mmd(S2, x, -x)
np.testing.assert_allclose(mmd(sharded), mmd(x), atol=1e-6)
test = lambda x: rgen.metrics.permutation_test(S2, x, -x, 0.5, jr.key(2))
np.testing.assert_allclose(test(sharded), test(x), atol=1e-6)
halves = lambda x, y: (x, y)
same(lambda x: rgen.metrics.between_halves(halves, x, jr.key(2)))
try:
    rgen.datasets.minibatch(jr.key(1), sharded, 5)
except ValueError as error:
    assert "a multiple of 2" in str(error), error
    # The remedies.
    assert "Take 6 rows" in str(error)
    assert "jax.device_put(x, jax.sharding.NamedSharding(mesh" in str(error)
    replicate = lambda x: jax.device_put(x, NamedSharding(mesh, P()))
    five = lambda x: rgen.datasets.minibatch(jr.key(1), replicate(x), 5)
    assert five(sharded).shape == jax.jit(five)(sharded).shape == (5, 3)
else:
    raise AssertionError("5 rows over 2 devices")

mesh = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Auto,))
sharded = jax.device_put(x, NamedSharding(mesh, P("i")))
same(batch)
assert batch(sharded).sharding == sharded.sharding
"""

_MODELS = """
process = rgen.Brownian(S2)
model = rgen.ScoreModel(lambda x, t: 0 * x, process, rgen.ReverseSDE(3))
langevin = rgen.Langevin(
    S2,
    rgen.LogUniformSchedule(1e-4, 5.0),
    rgen.VonMisesFisher(S2.origin, 3.0),
    steps=8,
)
keys = jr.split(jr.key(0), 8)
x = rgen.sample(rgen.Uniform(S2), jr.key(1), 8)
mesh = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Explicit,))
sharded = jax.device_put(x, NamedSharding(mesh, P("i")))
np.testing.assert_allclose(rgen.log_prob(model, sharded), rgen.log_prob(model, x))
# In chunks, and of a number of rows that is no multiple of what one CPU computes.
wide = rgen.VonMisesFisher(S2.origin, 3.0)
y = rgen.sample(rgen.Uniform(S2), jr.key(1), 20)
over = jax.device_put(y, NamedSharding(mesh, P("i")))
whole = rgen.log_prob(wide, y)
flow = rgen.log_prob(model, y)
in_chunks = lambda model, y: rgen.log_prob(model, y, chunk_size=8)
compiled = map(eqx.filter_jit, (rgen.log_prob, in_chunks))
for log_prob in (rgen.log_prob, in_chunks, *compiled):
    for context in (contextlib.nullcontext(), jax.set_mesh(mesh)):
        with context:
            apart = log_prob(wide, over), log_prob(model, over)
            assert apart[1].sharding.spec == P("i") and jnp.sum(apart[1]) < 0
        for a, b in zip(apart, (whole, flow)):
            np.testing.assert_allclose(a, b, rtol=1e-5)
auto = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Auto,))
over = jax.device_put(y, NamedSharding(auto, P("i")))
part = rgen._sharding.part_of(over, 8, 8)
assert part.sharding == over.sharding and np.array_equal(part, y[8:16])
assert rgen._sharding.part_of(over, 8, 7).shape == (7, 3)
drift = lambda x, t, c: S2.to_tangent(x, 0.1 * c)
given = rgen.ScoreModel(drift, process, rgen.ReverseSDE(3))
conditions = jax.device_put(-x, NamedSharding(mesh, P("i")))
apart = rgen.log_prob(given, sharded, given=conditions)
np.testing.assert_allclose(apart, rgen.log_prob(given, x, given=-x), atol=1e-5)
apart = rgen.sample(given, jr.key(2), 8, given=conditions)
np.testing.assert_allclose(apart, rgen.sample(given, jr.key(2), 8, given=-x), atol=1e-5)

mesh = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Auto,))
density = lambda x: jax.vmap(model.log_prob_and_cost)(x)[0]
noise = jax.vmap(lambda key: langevin.sample(S2.origin, jnp.array(0.5), key))
for f, args in ((jax.vmap(model.sample), keys), (density, x), (noise, keys)):
    specs = dict(mesh=mesh, in_specs=P("i"), out_specs=P("i"))
    try:
        jax.jit(jax.shard_map(f, **specs))(args)
    except NotImplementedError as error:
        assert "check_vma=False" in str(error), error
    else:
        raise AssertionError("Diffrax works with the check: drop the error")
    # The remedy.
    apart = jax.jit(jax.shard_map(f, **specs, check_vma=False))(args)
    np.testing.assert_allclose(apart, jax.jit(f)(args), atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", [_SHARD_MAP, _EXPLICIT, _MODELS], ids=["map", "explicit", "models"]
)
def test_on_two_devices(script):
    flags = os.environ.get("XLA_FLAGS", "")
    env = os.environ | {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    }
    run = [sys.executable, "-c", _PREAMBLE + script]
    result = subprocess.run(run, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


# Trainings over many devices


def shared_training(file, devices=1, processes=1):
    import shared_training

    script = shared_training.__file__
    env = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(pathlib.Path(script).parent.parent),
    }
    run = [sys.executable, script, str(file)]
    runs = [run]
    if processes > 1:
        address = f"127.0.0.1:{free_port()}"
        runs = [[*run, address, str(processes), str(i)] for i in range(processes)]
    logs = [file.with_suffix(f".{i}") for i in range(len(runs))]
    started = []
    try:
        for run, log in zip(runs, logs, strict=True):
            with log.open("w") as stream:
                started.append(subprocess.Popen(run, env=env, stderr=stream))
        codes = [each.wait(timeout=400) for each in started]
    finally:
        # One that failed leaves the other to wait for it.
        for each in started:
            each.kill()
    assert not any(codes), [log.read_text()[-2000:] for log in logs]
    return rgen.load(file, shared_training.like())


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.slow
def test_trainings_over_eight_devices_and_two_processes(tmp_path):
    one = shared_training(tmp_path / "one")
    losses = np.asarray(one[1])
    assert losses[-5:].mean() < 0.7 * losses[:5].mean()
    for name, kwargs in {
        "devices": dict(devices=8),
        "processes": dict(devices=2, processes=2),
    }.items():
        score, losses, found = shared_training(tmp_path / name, **kwargs)
        # The gradient is a sum in another order, thirty times. Adam divides it by its
        # size: a step of 0.01 differs by the relative error of a gradient, 1e-6, and by
        # more where the gradient is nearly nothing.
        np.testing.assert_allclose(losses, one[1], rtol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
            *(eqx.filter(each, eqx.is_array) for each in (score, one[0])),
        )
        # Of one model.
        jax.tree.map(np.testing.assert_array_equal, found, one[2])
