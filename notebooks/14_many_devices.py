# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From one device to many
#
# The training step is a pure function, so JAX can run it unchanged on several devices.
# Shard the batch over them, and the compiler does the rest. This notebook trains on
# four simulated devices, compares the losses with those of one device, stops and
# resumes a run without losing a bit, and finds the step at which a loss diverges.
#
# Needs the extra `notebooks`: `pip install '.[notebooks]'` in a clone.

# %%
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from tqdm.auto import tqdm

import rgen
from rgen import plot


# Before JAX looks for devices: four, in the memory of this one.
jax.config.update("jax_num_cpu_devices", 4)
print(jax.devices())

# %% [markdown]
# ## The step
#
# The step is the usual one. It takes the batch as an argument, so the caller decides
# which devices hold it.

# %%
data = rgen.datasets.populated_places()
sphere = rgen.Sphere(2)
process = rgen.Brownian(sphere, rgen.LogUniformSchedule(v_min=1e-3))
steps, batch = 1500, 512
optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))


def make_score():
    return rgen.nn.ScoreField(
        process, width=64, depth=3, frequencies=128, max_frequency=30.0, key=jr.key(0)
    )


def batch_loss(score, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))

    def one(x0, t, key):
        weight = rgen.losses.variance_weight
        return rgen.losses.denoising(score, process, x0, t, key, weight)

    return jnp.mean(jax.vmap(one)(x0, t, jr.split(noise_key, len(x0))))


def make_step(optim):
    @eqx.filter_jit
    def step(score, state, x0, key):
        loss, grads = eqx.filter_value_and_grad(batch_loss)(score, x0, key)
        updates, state = optim.update(grads, state)
        return eqx.apply_updates(score, updates), state, loss

    return step


step = make_step(optim)


# %% [markdown]
# ## Sharding
#
# The devices form a mesh with one axis. The batch is sharded along it; parameters and
# optimiser state are replicated on every device. The gradient is then a mean over the
# devices, and the compiler inserts the communication.

# %%
mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
cut = NamedSharding(mesh, PartitionSpec("batch"))
copied = NamedSharding(mesh, PartitionSpec())


def put(tree, sharding):
    arrays, static = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, sharding), static)


def train(score, state, keys, first=0, place=lambda x0: x0, label=""):
    losses = []
    for key in tqdm(keys[first:], desc=label):
        batch_key, loss_key = jr.split(key)
        x0 = place(rgen.datasets.minibatch(batch_key, data, batch))
        score, state, loss = step(score, state, x0, loss_key)
        losses.append(loss)
    return score, state, [float(loss) for loss in losses]


def start():
    score = make_score()
    return score, optim.init(eqx.filter(score, eqx.is_inexact_array))


keys = jr.split(jr.key(1), steps)
_, _, one_device = train(*start(), keys[:200], label="one device")
score, state = (put(tree, copied) for tree in start())
place = lambda x0: jax.device_put(x0, cut)
score, state, four_devices = train(score, state, keys, place=place, label="four")

x0 = place(rgen.datasets.minibatch(jr.key(2), data, batch))
print("rows of the batch on each device:", [len(s.data) for s in x0.addressable_shards])
difference = np.abs(np.array(one_device) - np.array(four_devices[:200]))
print(f"loss after 200 steps: {one_device[-1]:.6f} on one device")
print(f"                      {four_devices[199]:.6f} on four")
print(f"largest difference of the losses of 200 steps: {difference.max():.1e}")

# %% [markdown]
# The two runs add the same numbers in different orders. They differ by rounding errors,
# which grow slowly in the course of training.
#
# ## Samples and densities
#
# `rgen.sample` and `rgen.log_prob` take a model with replicated parameters, and points
# sharded over the devices.

# %%
model = rgen.ScoreModel(score, process)
test = place(rgen.datasets.minibatch(jr.key(4), data, 1024))
log_prob = rgen.log_prob(model, test)
print(f"mean log-density of 1,024 places: {jnp.mean(log_prob):.3f} nats")
print(f"the uniform distribution:        {-sphere.log_volume:.3f}")
samples = rgen.sample(model, jr.key(3), 1000)

figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
world = plot.Mollweide()
plot.frame(ax, world)
plot.coastlines(ax, world)
plot.points(ax, world, samples)
ax.set_title("1,000 samples of the model that four devices trained")
plt.show()

# %% [markdown]
# ## Stopping and resuming
#
# The state of a run is its parameters, its optimiser state and the number of steps
# done. All keys follow from the first one, so nothing else needs to be stored.
# `rgen.save` writes the file whole or not at all: a run that is killed goes on from
# the last one. Your code builds the structure that the arrays are loaded into.

# %%
outputs = Path("outputs")
outputs.mkdir(exist_ok=True)
file = outputs / "run.rgen"

whole, _, _ = train(*start(), keys[:300], label="300 steps")

half, half_state, _ = train(*start(), keys[:150], label="150 steps")
rgen.save(file, (half, half_state, jnp.array(150)))

resumed, resumed_state, done = rgen.load(file, (*start(), jnp.array(0)))
resumed, _, _ = train(
    resumed, resumed_state, keys[:300], first=int(done), label="resumed"
)
leaves = zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True)
equal = all(np.array_equal(a, b) for a, b in leaves if eqx.is_array(a))
print(f"resumed after {done} steps; the same to the last bit: {equal}")

# %% [markdown]
# ## A loss that diverges
#
# A score of zero has the loss 2, the dimension of the sphere, and a healthy run stays
# below. Look at a block of losses at once, since waiting for each of them leaves the
# devices idle. Save the parameters at the start of a block once their loss is known to
# be right. The first loss that is not right names the step, and the file has the last
# good parameters. Here the learning rate is a hundred times too large from step 120 on.


# %%
def guarded(step, score, state, keys, file, limit=4.0, block=50):
    good, losses = (score, state, jnp.array(0)), []
    for i, key in enumerate(tqdm(keys, desc="guarded"), start=1):
        batch_key, loss_key = jr.split(key)
        x0 = rgen.datasets.minibatch(batch_key, data, batch)
        score, state, loss = step(score, state, x0, loss_key)
        losses.append(loss)
        if i % block == 0:
            # NaN is not below the limit either.
            wrong = ~(np.array(losses[-block:]) < limit)
            if not wrong[0]:
                rgen.save(file, good)
            if wrong.any():
                k = i - block + int(wrong.argmax())
                raise FloatingPointError(f"the loss of step {k} is {losses[k]:.3g}")
            good = score, state, jnp.array(i)
    return score, state


rate = optax.join_schedules(
    [optax.constant_schedule(3e-3), optax.constant_schedule(0.3)], [120]
)
steep = optax.adam(rate)
score = make_score()
state = steep.init(eqx.filter(score, eqx.is_inexact_array))
try:
    guarded(make_step(steep), score, state, keys[:300], file)
except FloatingPointError as error:
    print(error)
score, state, done = rgen.load(file, (score, state, jnp.array(0)))
x0 = rgen.datasets.minibatch(jr.key(2), data, batch)
print(f"the parameters after {done} steps have the loss", end=" ")
print(f"{batch_loss(score, x0, jr.key(5)):.3f}")

# %% [markdown]
# ## What to change first
#
# - **One bad batch.** `optax.apply_if_finite(optim, 5)` leaves out up to five updates
#   in a row that are not finite.
# - **Real devices.** Remove the line with `jax_num_cpu_devices`, and make a mesh of
#   `len(jax.devices())`.
# - **The batch.** With more devices use a larger batch; its size must be a multiple of
#   their number.
# - **Large models.** Shard the parameters too: `PartitionSpec` along their longest
#   axis.
# - **Large checkpoints.** Orbax saves sharded arrays from all devices in parallel.
