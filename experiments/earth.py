"""Negative log-likelihood of events on the globe (Table 3 of De Bortoli et al. 2022): a
Riemannian score-based model beside other methods, on the same split.

    python -m experiments.earth --dataset flood --protocol legacy --seed 0
    python -m experiments.earth --dataset flood --method moser_flow --output FILE

One line of JSON for each method and seed. `resolution` is the least variance of the
noise in a density, in square radians; `blur` is the variance that RSGM, or a Moser flow
for its data, chose on validation. `setting` is what the data set and the protocol give
to every method. `train_seconds` is wall-clock time, with compilation and the selection
of the model on validation: of eight checkpoints at equal intervals, the one with the
lowest validation NLL. `wasserstein`, in radians, and `squared_mmd`, of the heat kernel
at 0.01, are between the test points and as many samples of the model.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._arguments import count, fraction
from ._losses import (
    denoising_loss,
    ensemble_loss,
    flow_matching_loss,
    likelihood_loss,
)
from ._moser import Floored, floor_mass, floored, moser_loss, near_and_everywhere
from ._results import machine
from ._runner import SEED, Experiment, Option, run
from ._training import InChart, Trained, minibatches, nll, samples_or_none, train


SPHERE = rgen.Sphere(2)
DATASETS = {
    "volcano": rgen.datasets.volcano,
    "earthquake": rgen.datasets.earthquake,
    "flood": rgen.datasets.flood,
    "fire": rgen.datasets.fire,
}
MIN_VARIANCE = 1e-5
BATCH = 512
CONTROLLER = diffrax.PIDController(rtol=1e-4, atol=1e-4)
FLOW = rgen.ProbabilityFlow(diffrax.Tsit5(), CONTROLLER)
# To train by maximum likelihood.
ROUGH = diffrax.PIDController(rtol=1e-3, atol=1e-3)
# By data set: most fires are in clumps that a network takes long to fit, and on floods
# networks soon fit noise.
MEMBERS = {"volcano": 3, "earthquake": 3, "flood": 6, "fire": 3}
STEPS = {"volcano": 4500, "earthquake": 6000, "flood": 6000, "fire": 20_000}
DAMPING = {"volcano": 1.0, "earthquake": 1.0, "flood": 2.0, "fire": 0.5}
CELL_MEMBERS, CELL_STEPS = 3, 3000
# Noise levels to choose from, in units of the least variance.
NOISE_FACTORS = 3, 10, 30, 100, 300
MOSER_FACTORS = 10, 3
# A test point where the density is all but zero costs more than this one.
FLOOR = 0.03
LIKELIHOOD_STEPS, LIKELIHOOD_BATCH = 2000, 64
KENT_SIZES = 5, 10, 20, 40, 80, 120, 160, 240
# The width of the cells of the protocol of that name, in radians.
CELL = math.radians(2)
MMD_VARIANCE = 1e-2


def split(protocol, key, x):
    """The parts for training, validation and test."""
    if protocol == "legacy":
        return rgen.datasets.random_split(key, x)
    x = rgen.datasets.distinct(x)
    if protocol == "distinct":
        return rgen.datasets.random_split(key, x)
    return rgen.datasets.cell_split(key, x)


class Setting(NamedTuple):
    """What a method is told beside the data: the least variance, the highest Fourier
    frequencies that a network reads, and about how many steps to train for. For RSGM
    also the number of networks, and the damping of their frequencies."""

    resolution: float
    max_frequency: float
    steps: int
    members: int
    damping: float = 1.0

    def coarser(self, resolution: float) -> "Setting":
        """This one at that variance, or at its own if it is larger."""
        finest = min(self.max_frequency, resolution**-0.5)
        resolution = max(self.resolution, resolution)
        return self._replace(resolution=resolution, max_frequency=finest)


def default_setting(dataset, protocol, resolution=MIN_VARIANCE):
    if protocol == "cells":
        # What is finer than the cells is not to be learnt from other cells.
        return Setting(resolution, 1 / CELL, CELL_STEPS, CELL_MEMBERS)
    steps, members, damping = STEPS[dataset], MEMBERS[dataset], DAMPING[dataset]
    return Setting(resolution, resolution**-0.5, steps, members, damping)


# Each method returns a `Trained` distribution.


def kernel_mixture(data, validation, setting, key):
    start = time.perf_counter()
    fit = partial(rgen.fit_kernel_mixture, rgen.VonMisesFisherKernel(SPHERE))
    model = jax.block_until_ready(fit(data, validation, setting.resolution))
    return Trained(model, time.perf_counter() - start)


def kent_mixture(data, validation, setting, key):
    start = time.perf_counter()
    fit = rgen.fit_kent_mixture
    most = len(rgen.datasets.distinct(data))
    sizes = [size for size in KENT_SIZES if size <= most]
    model = fit(data, validation, setting.resolution, sizes, key)
    return Trained(jax.block_until_ready(model), time.perf_counter() - start)


def rsgm(data, validation, setting, key):
    """An ensemble of score fields, at the noise level that validation prefers."""
    init_key, key = jr.split(key)
    process = _noise(setting)
    # A few small networks: one that is wider fits faster and generalises worse.
    member = lambda key: _score_field(process, 96, setting, key)
    members = eqx.filter_vmap(member)(jr.split(init_key, setting.members))
    model = rgen.ScoreModel(rgen.nn.Ensemble(members), process, flow=FLOW)
    sample_batch = minibatches(data, BATCH)

    candidate = partial(best_noise_level, validation=validation)
    steps = setting.steps
    return train(
        model, ensemble_loss, sample_batch, key, steps=steps, candidate=candidate
    )


def rsgm_single(data, validation, setting, key):
    """One score field of the size of the other methods' networks."""
    init_key, key = jr.split(key)
    process = _noise(setting)
    score = _score_field(process, 128, setting, init_key)
    model = rgen.ScoreModel(score, process, flow=FLOW)
    sample_batch = minibatches(data, BATCH)
    return _train(model, denoising_loss, sample_batch, validation, key, setting.steps)


def best_noise_level(model, validation):
    """The score model at the noise level that is best for validation, and its NLL: from
    the lowest on, the last that gains."""

    def value(model):
        found = nll(model.log_prob, validation)
        return math.inf if math.isnan(found) else found

    found, lowest = model, value(model)
    for factor in NOISE_FACTORS:
        coarse = at_noise_level(model, factor)
        coarse_nll = value(coarse)
        if coarse_nll > lowest:
            break
        found, lowest = coarse, coarse_nll
    return found, lowest


def at_noise_level(model, factor):
    """The score model at that many times the least variance."""
    schedule = model.process.schedule
    t0 = math.log(factor) / math.log(schedule.v_max / schedule.v_min)
    process = rgen.Brownian(SPHERE, rgen.CoarseSchedule(schedule, t0))
    return eqx.tree_at(lambda model: model.process, model, process)


def stereographic(data, validation, setting, key):
    """A Euclidean score field in the chart whose pole is farthest from the data."""
    init_key, pole_key, key = jr.split(key, 3)
    poles = jax.vmap(SPHERE.uniform)(jr.split(pole_key, 1000))
    nearest = lambda pole: jnp.max(data @ pole)
    pole = poles[jnp.argmin(jax.lax.map(nearest, poles))]
    chart = rgen.StereographicChart(-pole)
    # The noise is added to the points, since noise in the chart is finer towards the
    # pole. At the origin lengths are half of those on the sphere: there the chart's own
    # noise adds a tenth, and Fourier frequencies have to be twice as high.
    schedule = rgen.LogUniformSchedule(setting.resolution / 40, 15.0)
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), schedule)
    finer = setting._replace(max_frequency=2 * setting.max_frequency)
    score = rgen.nn.ScoreField(process, key=init_key, **_size(128, finer))
    model = rgen.ScoreModel(score, process, flow=FLOW)
    sample_batch = InChart(chart, Noised(minibatches(data, BATCH), setting.resolution))
    y = jax.vmap(chart.to_chart)(validation)
    trained = _train(model, denoising_loss, sample_batch, y, key, setting.steps)
    return trained._replace(model=rgen.Pushforward(chart, trained.model))


def flow_matching(data, validation, setting, key):
    init_key, key = jr.split(key)
    field = _flow_field(setting, init_key)
    model = rgen.Flow(rgen.Uniform(SPHERE), field, stepsize_controller=CONTROLLER)
    sample_batch = Noised(minibatches(data, BATCH), setting.resolution)
    return _train(
        model, flow_matching_loss, sample_batch, validation, key, setting.steps
    )


def moser_flow(data, validation, setting, key):
    """At the variance that validation prefers: with Fourier frequencies too high for
    the data, the mass between the points is negative."""
    settings = [setting.coarser(m * setting.resolution) for m in MOSER_FACTORS]
    runs = [_moser_flow(data, validation, each, key) for each in settings]
    best = min(runs, key=lambda run: nll(run.model.log_prob, validation))
    return best._replace(seconds=sum(run.seconds for run in runs))


def _moser_flow(data, validation, setting, key):
    init_key, near_key, key = jr.split(key, 3)
    field = _flow_field(setting, init_key)
    model = rgen.MoserFlow(SPHERE, field, floor=FLOOR, stepsize_controller=CONTROLLER)
    sample_batch = Noised(minibatches(data, BATCH), setting.resolution)
    near = partial(_near, setting.resolution)
    proposal = near(minibatches(data, BATCH)(near_key))

    def candidate(flow):
        model = floored(flow, proposal)
        return model, nll(model.log_prob, validation)

    steps = max(1, setting.steps // 2)
    loss = partial(moser_loss, near)
    return train(model, loss, sample_batch, key, steps=steps, candidate=candidate)


def _near(resolution, x):
    variances = jnp.append(jnp.geomspace(resolution, 0.1, 6), 4.0)
    kernels = partial(rgen.KernelMixture, rgen.VonMisesFisherKernel(SPHERE))
    return near_and_everywhere(kernels, variances, x)


def normalizing_flow(data, validation, setting, key):
    """By maximum likelihood. A step goes through the ODE and back, so that the network
    and the batches are small. The tolerance is just exact enough to train on: at 0.01
    a network exploits the solver's error, and is slower, since it gets stiffer. So it
    does with higher Fourier frequencies than those of the noise level of the page."""
    init_key, key = jr.split(key)
    finest = min(setting.max_frequency, MIN_VARIANCE**-0.5)
    coarser = setting._replace(max_frequency=finest)
    field = _flow_field(coarser, init_key, width=64, frequencies=256)
    base = rgen.Uniform(SPHERE)
    coarse = rgen.Flow(base, field, stepsize_controller=ROUGH)
    sample_batch = Noised(minibatches(data, LIKELIHOOD_BATCH), setting.resolution)
    steps = min(setting.steps, LIKELIHOOD_STEPS)
    trained = _train(coarse, likelihood_loss, sample_batch, validation, key, steps)
    model = rgen.Flow(base, trained.model.field, stepsize_controller=CONTROLLER)
    return trained._replace(model=model)


METHODS = {
    "kernel_mixture": kernel_mixture,
    "rsgm": rsgm,
    "rsgm_single": rsgm_single,
    "kent_mixture": kent_mixture,
    "normalizing_flow": normalizing_flow,
    "moser_flow": moser_flow,
    "stereographic": stereographic,
    "flow_matching": flow_matching,
}


class Noised(eqx.Module):
    """Batches of data with the noise of the least variance of a score-based model."""

    sample_batch: Callable
    resolution: float = eqx.field(static=True)

    def __call__(self, key):
        batch_key, key = jr.split(key)
        x = self.sample_batch(batch_key)
        kernel = rgen.heat_kernel(SPHERE)
        one = lambda x, key: kernel.sample(x, jnp.array(self.resolution), key)
        return jax.vmap(one)(x, jr.split(key, len(x)))


def noise_level(model):
    """The variance at which a score-based model stops, or of the noise that is added to
    the data of a Moser flow."""
    if isinstance(model, Floored):
        assert isinstance(model.flow.field, rgen.nn.FlowField)
        return dict(blur=model.flow.field.v_min)
    if isinstance(model, rgen.ScoreModel):
        schedule = model.process.schedule
        return dict(blur=float(f"{schedule.variance(jnp.array(schedule.t0)):.3g}"))
    return {}


def sample_metrics(model, test, key):
    """For as many samples as there are test points; null if the sampler fails."""
    x = samples_or_none(model, len(test), key)
    if x is None:
        return dict(wasserstein=None, squared_mmd=None)
    mmd = rgen.metrics.squared_mmd(SPHERE, x, test, MMD_VARIANCE)
    distance = rgen.metrics.wasserstein(SPHERE, x, test)
    return dict(wasserstein=round(distance, 4), squared_mmd=round(float(mmd), 5))


def _train(model, loss, sample_batch, validation, key, steps):
    candidate = lambda model: (model, nll(model.log_prob, validation))
    return train(model, loss, sample_batch, key, steps=steps, candidate=candidate)


def _noise(setting):
    return rgen.Brownian(SPHERE, rgen.LogUniformSchedule(setting.resolution, 4.0))


def _score_field(process, width, setting, key):
    kwargs = dict(damping=setting.damping, key=key)
    return rgen.nn.ScoreField(process, **_size(width, setting), **kwargs)


def _size(width, setting, frequencies=512) -> dict[str, Any]:
    highest = setting.max_frequency
    return dict(width=width, depth=3, frequencies=frequencies, max_frequency=highest)


def _flow_field(setting, key, width=128, frequencies=512):
    size = _size(width, setting, frequencies)
    return rgen.nn.FlowField(SPHERE, v_min=setting.resolution, key=key, **size)


def line(method, dataset, protocol, seed, resolution, steps):
    setting = default_setting(dataset, protocol, resolution)
    if steps is not None:
        setting = setting._replace(steps=steps)
    split_key, train_key, sample_key = jr.split(jr.key(seed), 3)
    data, validation, test = split(protocol, split_key, DATASETS[dataset]())
    model, seconds, _ = METHODS[method](data, validation, setting, train_key)
    return dict(
        setting=setting._asdict(),
        **machine(),
        train_seconds=round(seconds, 1),
        val_nll=round(nll(model.log_prob, validation), 4),
        test_nll=round(nll(model.log_prob, test), 4),
        **sample_metrics(model, test, sample_key),
        **floor_mass(model),
        **noise_level(model),
    )


EXPERIMENT = Experiment(
    (
        Option("method", ("kernel_mixture", "rsgm"), choices=METHODS),
        Option("dataset", choices=DATASETS),
        Option("protocol", ("legacy",), choices=("legacy", "distinct", "cells")),
        SEED,
        Option("resolution", (MIN_VARIANCE,), read=fraction),
        Option("steps", (None,), read=count, help="default: by data set"),
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
