"""The density of side chains given the backbone, p(chi | phi, psi), of six residues of
proteins: a conditional score-based model beside densities without a network.

    python -m experiments.side_chains --residue lys --seed 0
    python -m experiments.side_chains --residue his --method rsgm --output FILE

One line of JSON for each method, residue and seed. Whole protein chains are in one part
of the split. `conditional_nll` is the mean of -log p(chi | phi, psi) in nats over
`points` test residues; `min_variance` is the noise level of all methods, in square
radians: what a score-based model adds to chi, and the least variance of a kernel or a
rotamer. Of 32 samples given the backbone of each residue, `chi1_recovery` is the share
of residues whose chi1 is within 40 degrees of the mode of the samples, and
`chi12_recovery` that of chi1 and chi2 together. `chi1_calibration` is the largest
distance between the distribution of the residues' ranks in their samples, by chi1, and
the uniform one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import rgen

from ._conditional import Independent, conditional_kernel_mixture
from ._losses import batch_loss, denoising_loss
from ._results import machine
from ._rotamers import rotamer_library
from ._runner import SEED, Experiment, Option, run
from ._training import Trained, minibatches, train


# A standard deviation of 1.8 degrees.
MIN_VARIANCE = 1e-3
BATCH = 512
# Of the networks: their width, the training steps, and the standard deviation of the
# noise in a backbone during training, in radians. A side chain of one angle is learnt
# soon, and its backbones then by heart: what networks that are trained apart have
# learnt so differs, and their mean has less of it.
SETTING = dict(width=256, steps=6000, backbone_noise=0.03)
ONE_ANGLE = dict(width=128, steps=3000, backbone_noise=0.06)
# Random residues of the validation and the test chains; of the former, those that
# checkpoints of a network are selected on.
VALIDATION, TEST, SELECTION = 1024, 1024, 256
SAMPLES, SAMPLER_STEPS = 32, 50
RECOVERED = np.deg2rad(40)
# The deviation of the kernels that find the mode of samples.
MODE_SCALE = np.deg2rad(15)
_TURN = 2 * np.pi
# Conditions that are evaluated at a time.
DENSITIES, CONDITIONS = 128, 16
CONTROLLER = diffrax.PIDController(rtol=1e-4, atol=1e-4)
FLOW = rgen.ProbabilityFlow(diffrax.Tsit5(), CONTROLLER)
# To select checkpoints.
ROUGH = diffrax.PIDController(rtol=1e-3, atol=1e-3)
BACKBONE = rgen.Torus(2)
SP3, SP2 = 3, 12


class Residue(NamedTuple):
    """A data set, and the wells of each angle of the side chain in the rotamer library:
    three, but more where the angle is at a planar group. And the setting of the
    networks, and how many are trained."""

    load: Callable[[], rgen.datasets.SideChains]
    wells: tuple[int, ...]
    setting: dict[str, Any] = SETTING
    members: int = 1


RESIDUES = {
    "lys": Residue(rgen.datasets.lysine, (SP3,) * 4),
    "met": Residue(rgen.datasets.methionine, (SP3,) * 3),
    "gln": Residue(rgen.datasets.glutamine, (SP3, SP3, SP2)),
    "trp": Residue(rgen.datasets.tryptophan, (SP3, SP2)),
    "his": Residue(rgen.datasets.histidine, (SP3, SP2)),
    "cys": Residue(rgen.datasets.cysteine, (SP3,), ONE_ANGLE, members=4),
}


class Part(NamedTuple):
    """Residues: the angles of their side chains and of their backbones."""

    x: jax.Array
    c: jax.Array

    def some(self, n: int, key: jax.Array) -> "Part":
        """`n` random residues, or all of them where there are fewer."""
        rows = np.asarray(jr.permutation(key, len(self.x)))[:n]
        return Part(*(jnp.asarray(np.asarray(leaf)[rows]) for leaf in self))


def chain_split(residue: str, key: jax.Array) -> tuple[Part, ...]:
    """All residues, whole chains to training, validation or test."""
    angles, chains = RESIDUES[residue].load()
    return rgen.datasets.group_split(key, Part(angles[:, 2:], angles[:, :2]), chains)


def split(residue: str, key: jax.Array) -> tuple[Part, Part, Part]:
    """The residues to train on, and some to validate and to test with."""
    split_key, validation_key, test_key = jr.split(key, 3)
    data, validation, test = chain_split(residue, split_key)
    validation = validation.some(VALIDATION, validation_key)
    return data, validation, test.some(TEST, test_key)


# Each method returns a `Trained` model with a method `given`.


def rsgm(data, validation, residue, key):
    """A network that has the backbone beside its features of the side chain, or the
    mean of several."""
    if residue.members == 1:
        return network(data, validation, residue, key)
    keys = jr.split(key, residue.members)
    trained = [network(data, validation, residue, key) for key in keys]
    return Trained(
        mean([each.model for each in trained]), sum(each.seconds for each in trained)
    )


def mean(models: list[rgen.ScoreModel]) -> rgen.ScoreModel:
    """The model whose score is the mean of the models' scores."""
    stack = lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0]
    members = jax.tree.map(stack, *[model.score for model in models])
    return eqx.tree_at(lambda model: model.score, models[0], rgen.nn.Ensemble(members))


def network(data, validation, residue, key):
    init_key, key = jr.split(key)
    embedding = rgen.nn.PointFeatures(BACKBONE, size=64, max_frequency=8.0)
    condition = dict(embedding=embedding, condition=BACKBONE.origin)
    model = score_model(residue, init_key, **condition)
    sample_batch = eqx.Partial(rgen.datasets.minibatch, x=data, size=BATCH)
    candidate = partial(_with_nll, lambda model: model, validation)
    loss = partial(conditional_loss, residue.setting["backbone_noise"])
    steps = residue.setting["steps"]
    return train(model, loss, sample_batch, key, steps=steps, candidate=candidate)


def unconditional(data, validation, residue, key):
    """The same without the backbone, which has less to learn, in half the steps."""
    init_key, key = jr.split(key)
    model = score_model(residue, init_key)
    sample_batch = minibatches(data.x, BATCH)
    independent = lambda model: Independent(model.manifold, model)
    candidate = partial(_with_nll, independent, validation)
    steps = max(1, residue.setting["steps"] // 2)
    return train(
        model, denoising_loss, sample_batch, key, steps=steps, candidate=candidate
    )


def score_model(residue, key, **condition):
    dim, width = len(residue.wells), residue.setting["width"]
    process = rgen.Brownian(rgen.Torus(dim), rgen.LogUniformSchedule(MIN_VARIANCE))
    # Random frequencies of many angles are of no use.
    frequencies = 64 if dim <= 2 else 0
    size = dict(width=width, depth=3, frequencies=frequencies, max_frequency=8.0)
    score = rgen.nn.ScoreField(process, **size, **condition, key=key)
    sampler = rgen.ReverseSDE(steps=SAMPLER_STEPS)
    return rgen.ScoreModel(score, process, sampler, FLOW)


def conditional_loss(
    backbone_noise: float, model: rgen.ScoreModel, batch: Part, key: jax.Array
) -> jax.Array:
    """The denoising loss of the side chains given the backbones. These have noise too,
    so that the network can't tell the residues apart."""
    process = jax.lax.stop_gradient(model.process)
    time_key, c_key, noise_key = jr.split(key, 3)
    t = process.stratified_times(time_key, len(batch.x))
    c = batch.c + backbone_noise * jr.normal(c_key, batch.c.shape)
    weight = rgen.losses.variance_weight

    def one(x0, c, t, key):
        score = rgen.Given(model.score, c)
        return rgen.losses.denoising(score, process, x0, t, key, weight)

    return batch_loss(one, noise_key, batch.x, c, t)


def kernel_mixture(data, validation, residue, key):
    return conditional_kernel_mixture(data, validation, MIN_VARIANCE)


def library(data, validation, residue, key):
    return rotamer_library(data, validation, MIN_VARIANCE, residue.wells)


METHODS = {
    "rsgm": rsgm,
    "unconditional": unconditional,
    "kernel_mixture": kernel_mixture,
    "rotamer_library": library,
}


def conditional_nll(model, part: Part) -> float:
    """The mean of -log p(x | c), in nats."""
    log_prob = rgen.log_prob(model, part.x, given=part.c, chunk_size=DENSITIES)
    return -float(jnp.mean(log_prob))


def _with_nll(wrapped, validation, model):
    """What `wrapped` makes of a score model, and its NLL at a rough tolerance."""
    some = Part(validation.x[:SELECTION], validation.c[:SELECTION])
    flow = rgen.ProbabilityFlow(diffrax.Tsit5(), ROUGH)
    rough = eqx.tree_at(lambda model: model.flow, model, flow)
    return wrapped(model), conditional_nll(wrapped(rough), some)


@eqx.filter_jit
def samples_given(model, c: jax.Array, key: jax.Array) -> jax.Array:
    """Samples given each of the conditions, of the shape `(len(c), SAMPLES, d)`."""

    def one(row):
        c, key = row
        return jax.vmap(model.given(c).sample)(jr.split(key, SAMPLES))

    return jax.lax.map(one, (c, jr.split(key, len(c))), batch_size=CONDITIONS)


def mode(samples: jax.Array) -> jax.Array:
    """The sample where a density of von Mises kernels on all samples is the highest."""
    apart = samples[:, None] - samples
    kernels = jnp.exp(jnp.sum(jnp.cos(apart) - 1, axis=-1) / MODE_SCALE**2)
    return samples[jnp.argmax(jnp.sum(kernels, axis=1))]


def recovery(samples: jax.Array, x: jax.Array, angles: int) -> float | None:
    """The share of the residues `x` of which the first `angles` are within 40 degrees
    of the mode of their samples."""
    if angles > x.shape[1]:
        return None
    modes = jax.vmap(mode)(samples[..., :angles])
    near = jnp.cos(modes - x[:, :angles]) > np.cos(RECOVERED)
    return round(float(jnp.mean(jnp.all(near, axis=1))), 4)


def calibration(samples: jax.Array, x: jax.Array, key: jax.Array) -> float:
    """The largest distance between the distribution of the ranks of chi1 among its
    samples, counted from 0 degrees, where there are few, and the uniform one."""
    below = jnp.sum(samples[..., 0] % _TURN < x[:, :1] % _TURN, axis=1)
    rank = (below + jr.uniform(key, below.shape)) / (samples.shape[1] + 1)
    rank, n = jnp.sort(rank), len(rank)
    gaps = jnp.arange(1, n + 1) / n - rank
    return round(float(jnp.max(jnp.maximum(gaps, 1 / n - gaps))), 4)


def line(method, residue, seed):
    split_key, train_key, sample_key, rank_key = jr.split(jr.key(seed), 4)
    data, validation, test = split(residue, split_key)
    fit = METHODS[method]
    trained: Trained = fit(data, validation, RESIDUES[residue], train_key)
    samples = samples_given(trained.model, test.c, sample_key)
    return dict(
        min_variance=MIN_VARIANCE,
        setting=RESIDUES[residue].setting,
        members=RESIDUES[residue].members,
        **machine(),
        points=len(test.x),
        train_seconds=round(trained.seconds, 1),
        conditional_nll=round(conditional_nll(trained.model, test), 4),
        chi1_recovery=recovery(samples, test.x, 1),
        chi12_recovery=recovery(samples, test.x, 2),
        chi1_calibration=calibration(samples, test.x, rank_key),
    )


EXPERIMENT = Experiment(
    (
        Option("method", tuple(METHODS), choices=METHODS),
        Option("residue", choices=RESIDUES),
        SEED,
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
