"""A training over all devices of all processes, for the tests that compare it with one
device.

python tests/shared_training.py FILE
python tests/shared_training.py FILE ADDRESS PROCESSES PROCESS

The second form is one of several processes. The parameters, the losses, and samples and
densities of another model are saved to the file, on the way the state of the run.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import rgen


SPHERE = rgen.Sphere(2)
PROCESS = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-2))
OPTIM = optax.adam(1e-2)
STEPS, BATCH, SAMPLES = 30, 128, 256


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = PROCESS.stratified_times(time_key, len(x0))

    def one(x0, t, key):
        weight = rgen.losses.variance_weight
        return rgen.losses.denoising(score, PROCESS, x0, t, key, weight)

    return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, len(x0))))


@eqx.filter_jit
def step(score, state, x0, key):
    loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, key)
    updates, state = OPTIM.update(grads, state)
    return eqx.apply_updates(score, updates), state, loss


@eqx.filter_jit
def samples_and_densities(model, keys):
    x = jax.vmap(model.sample)(keys)
    return x, jax.vmap(model.log_prob)(x)


def start():
    size = dict(width=16, depth=2, frequencies=8)
    score = rgen.nn.ScoreField(PROCESS, **size, key=jr.key(0))
    return score, OPTIM.init(eqx.filter(score, eqx.is_inexact_array))


def shifted(score):
    """With weights of its own in the last layer too, which begins at zero."""
    shift = lambda w: w + 0.1 * jr.normal(jr.key(3), w.shape)
    return jax.tree.map(lambda w: shift(w) if eqx.is_inexact_array(w) else w, score)


def batch(key):
    centre = jnp.array([0.0, 0.6, 0.8])
    return rgen.sample(rgen.VonMisesFisher(centre, 10.0), key, BATCH)


def main(file):
    mesh = jax.make_mesh((jax.device_count(),), ("i",), axis_types=(AxisType.Auto,))
    cut = NamedSharding(mesh, PartitionSpec("i"))
    whole = NamedSharding(mesh, PartitionSpec())
    copied = lambda tree: jax.tree.map(
        lambda x: jax.device_put(x, whole) if eqx.is_array(x) else x, tree
    )
    (score, state), losses = copied(start()), []
    for i, key in enumerate(jr.split(jr.key(1), STEPS)):
        data_key, loss_key = jr.split(key)
        x0 = rows(batch(data_key), cut)
        score, state, loss = step(score, state, x0, loss_key)
        losses.append(loss)
        if i == STEPS // 2:
            save_on_one(file, (score, state))
            score, state = copied(rgen.load(file, start()))
    model = rgen.ScoreModel(shifted(start()[0]), PROCESS, rgen.ReverseSDE(10))
    keys = rows(jr.key_data(jr.split(jr.key(2), SAMPLES)), cut)
    found = samples_and_densities(model, jr.wrap_key_data(keys))
    # Each process has the rows of its own devices.
    found = jax.jit(lambda x: x, out_shardings=whole)(found)
    save_on_one(file, (score, losses, found))
    if jax.process_count() > 1:
        check_remedy(file, x0)


def rows(x, cut):
    """An array of which each process gives the rows of its devices."""
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, cut, lambda index: x[index])


def save_on_one(file, tree):
    if jax.process_index() == 0:
        rgen.save(file, tree)
    multihost_utils.sync_global_devices("saved")


def check_remedy(file, x0):
    try:
        rgen.save(file, x0)
    except ValueError as error:
        assert "process_allgather" in str(error), error
    else:
        raise AssertionError("an array that is sharded over processes was saved")
    x0 = multihost_utils.process_allgather(x0, tiled=True)
    save_on_one(file + ".gathered", x0)
    assert np.array_equal(rgen.load(file + ".gathered", x0), x0)


def like():
    """What the file holds."""
    losses = [jnp.array(0.0)] * STEPS
    return start()[0], losses, (jnp.zeros((SAMPLES, 3)), jnp.zeros(SAMPLES))


if __name__ == "__main__":
    file, *processes = sys.argv[1:]
    if processes:
        address, count, number = processes
        jax.distributed.initialize(address, int(count), int(number))
    main(file)
