"""Negative log-likelihood of events on the globe (Table 4 of De Bortoli et al. 2022): a
Riemannian score-based model beside its rivals, on the same split, at the same
resolution.

    python -m benchmarks.earth --dataset flood --protocol legacy --seed 0
    python -m benchmarks.earth --dataset flood --method moser_flow --output FILE

One line of JSON for each method and seed. `resolution` is the variance, in square
radians, that densities are blurred by; `train_seconds` is wall-clock time, with
compilation and the selection of the model on validation. The model that is tested is
the one, among those seen at equal intervals in the second half of training, whose
validation NLL is lowest. With `--output` lines are appended to a file, and those that
it has are not run again.
"""

import argparse
import time
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._results import Results
from ._training import nll, train


SPHERE = rgen.Sphere(2)
DATASETS = {
    "volcano": rgen.datasets.volcano,
    "earthquake": rgen.datasets.earthquake,
    "flood": rgen.datasets.flood,
    "fire": rgen.datasets.fire,
}
RESOLUTIONS = {"volcano": 1e-5, "earthquake": 1e-5, "flood": 1e-4, "fire": 1e-5}
MEMBERS = 3
MMD_VARIANCE = 1e-2


def split(protocol, key, x):
    """The parts for training, validation and test."""
    if protocol == "legacy":
        return rgen.datasets.random_split(key, x)
    x = rgen.datasets.distinct(x)
    if protocol == "distinct":
        return rgen.datasets.random_split(key, x)
    return rgen.datasets.cell_split(key, x)


# Each method returns a law with its validation NLL, and the seconds of its training.


def kernel_mixture(data, validation, resolution, steps, key):
    start = time.perf_counter()
    law = rgen.baselines.fit_kernel_mixture(data, validation, resolution)
    value = nll(law.log_prob, validation, 64)
    return law, value, time.perf_counter() - start


def kent_mixture(data, validation, resolution, steps, key):
    start = time.perf_counter()
    sizes = [5, 10, 20, 40, 80]
    law = rgen.baselines.fit_kent_mixture(data, validation, resolution, sizes, key)
    return law, nll(law.log_prob, validation), time.perf_counter() - start


def rsgm(data, validation, resolution, steps, key):
    """An ensemble of score fields."""
    init_key, key = jr.split(key)
    process = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(resolution, 4.0))
    # A few small networks: one that is wider fits faster and generalises worse.
    member = lambda key: rgen.nn.ScoreField(process, key=key, **_size(96, resolution))
    keys = jr.split(init_key, MEMBERS)
    score = rgen.nn.Ensemble(eqx.filter_vmap(member)(keys))
    flow = rgen.ProbabilityFlow(rtol=1e-4, atol=1e-4)
    law = rgen.ScoreModel(score, process, flow)
    return _train(law, _ensemble_loss, data, validation, key, steps=steps or 4500)


def stereographic(data, validation, resolution, steps, key):
    """A Euclidean score field in the chart whose pole is farthest from the data."""
    init_key, pole_key, key = jr.split(key, 3)
    poles = jax.vmap(SPHERE.uniform)(jr.split(pole_key, 1000))
    nearest = lambda pole: jnp.max(data @ pole)
    pole = poles[jnp.argmin(jax.lax.map(nearest, poles))]
    chart = rgen.baselines.StereographicChart(-pole)
    # At the origin of the chart lengths are half of those on the sphere.
    schedule = rgen.LogUniformSchedule(resolution / 4, 15.0)
    process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(2), schedule)
    score = rgen.nn.ScoreField(process, key=init_key, **_size(128, resolution))
    flow = rgen.ProbabilityFlow(rtol=1e-4, atol=1e-4)
    law = rgen.baselines.Pushforward(chart, rgen.ScoreModel(score, process, flow))

    def loss(law, x0, key):
        # Not through `law`: the chart is no parameter.
        y0 = jax.vmap(chart.to_chart)(x0)
        return _denoising_loss(law.law.score, law.law.process, y0, key)

    return _train(law, loss, data, validation, key, steps=steps or 6000)


def flow_matching(data, validation, resolution, steps, key):
    init_key, key = jr.split(key)
    law = rgen.baselines.Flow(
        rgen.Uniform(SPHERE), _flow_field(resolution, init_key), rtol=1e-4, atol=1e-4
    )

    def loss(law, x1, key):
        blur_key, time_key, loss_key = jr.split(key, 3)
        x1 = _blurred(x1, resolution, blur_key)
        n = len(x1)
        t = (jnp.arange(n) + jr.uniform(time_key, (n,))) / n
        one = partial(rgen.losses.flow_matching, law.field, law.base)
        return jnp.mean(jax.vmap(one)(x1, t, jr.split(loss_key, n)))

    return _train(law, loss, data, validation, key, steps=steps or 8000)


def moser_flow(data, validation, resolution, steps, key):
    init_key, key = jr.split(key)
    law = rgen.baselines.MoserFlow(SPHERE, _flow_field(resolution, init_key))

    def loss(law, x, key):
        blur_key, loss_key = jr.split(key)
        x = _blurred(x, resolution, blur_key)
        one = lambda x, key: law.loss(x, key, penalty=2.0)
        return jnp.mean(jax.vmap(one)(x, jr.split(loss_key, len(x))))

    return _train(law, loss, data, validation, key, steps=steps or 5000)


def normalizing_flow(data, validation, resolution, steps, key):
    """By maximum likelihood."""
    init_key, key = jr.split(key)
    field = rgen.nn.FlowField(
        SPHERE, width=96, depth=3, frequencies=64, max_frequency=20.0, key=init_key
    )
    law = rgen.baselines.Flow(rgen.Uniform(SPHERE), field, rtol=1e-3, atol=1e-3)

    def loss(law, x, key):
        x = _blurred(x, resolution, key)
        return -jnp.mean(jax.vmap(law.log_prob)(x))

    kwargs = dict(steps=steps or 1000, batch=256)
    return _train(law, loss, data, validation, key, **kwargs)


METHODS = {
    "kernel_mixture": kernel_mixture,
    "rsgm": rsgm,
    "kent_mixture": kent_mixture,
    "normalizing_flow": normalizing_flow,
    "moser_flow": moser_flow,
    "stereographic": stereographic,
    "flow_matching": flow_matching,
}


def log_density(law):
    """`law.log_prob`, or that of a Moser flow without its negative mass."""
    if isinstance(law, rgen.baselines.MoserFlow):
        return _Positive(law)
    return law.log_prob


class _Positive(eqx.Module):
    """The positive part of a Moser flow, normalised: its mass is a mean over 16,384
    uniform points, always the same."""

    law: rgen.baselines.MoserFlow
    log_mass: jax.Array

    def __init__(self, law):
        self.law = law
        self.log_mass = jnp.log(_positive_mass(law))

    def __call__(self, x):
        return _log_ratio(self.law, x) + self.law.base.log_prob(x) - self.log_mass


def negative_mass(law):
    """Of a Moser flow: what its density is short of one where it is positive."""
    if isinstance(law, rgen.baselines.MoserFlow):
        return dict(negative_mass=round(float(_positive_mass(law)) - 1, 4))
    return {}


def sample_metrics(law, test, key):
    """Of as many draws as there are test points."""
    draws = _draws(law, jr.split(key, len(test)))
    mmd = rgen.metrics.squared_mmd(SPHERE, draws, test, MMD_VARIANCE)
    distance = rgen.metrics.wasserstein(SPHERE, draws, test)
    return dict(wasserstein=round(distance, 4), squared_mmd=round(float(mmd), 5))


@eqx.filter_jit
def _draws(law, keys):
    return jax.vmap(law.sample)(keys)


def _log_ratio(law, x):
    return jnp.log(jnp.maximum(law.ratio(x), law.floor))


@eqx.filter_jit
def _positive_mass(law):
    x = jax.vmap(law.base.sample)(jr.split(jr.key(0), 16_384))
    ratio = jax.lax.map(partial(_log_ratio, law), x, batch_size=1024)
    return jnp.mean(jnp.exp(ratio))


def _train(law, loss, data, validation, key, **kwargs):
    evaluate = lambda law: nll(log_density(law), validation)
    return train(law, loss, data, evaluate, key, **kwargs)


def _denoising_loss(score, process, x0, key):
    time_key, noise_key = jr.split(key)
    t = process.stratified_times(time_key, len(x0))
    loss = jax.vmap(partial(rgen.losses.denoising, score, process))
    weight = jax.vmap(partial(rgen.losses.variance_weight, process))
    return jnp.mean(weight(t) * loss(x0, t, jr.split(noise_key, len(x0))))


def _ensemble_loss(law, x0, key):
    """The sum over the members of the ensemble, each with noise of its own."""
    one = lambda member, key: _denoising_loss(member, law.process, x0, key)
    each = eqx.filter_vmap(one)(law.score.members, jr.split(key, MEMBERS))
    return jnp.sum(each)


def _size(width, resolution) -> dict[str, Any]:
    """Of a network that reads many waves, the finest of which is as long as the
    resolution."""
    waves = dict(frequencies=512, max_frequency=resolution**-0.5)
    return dict(width=width, depth=3, **waves)


def _flow_field(resolution, key):
    size = _size(128, resolution)
    return rgen.nn.FlowField(SPHERE, v_min=resolution, key=key, **size)


def _blurred(x, resolution, key):
    """As a score-based model of that resolution sees the points."""
    kernel = rgen.heat_kernel(SPHERE)
    one = lambda x, key: kernel.sample(x, jnp.array(resolution), key)
    return jax.vmap(one)(x, jr.split(key, len(x)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=DATASETS, required=True)
    parser.add_argument(
        "--protocol", choices=["legacy", "distinct", "cells"], default="legacy"
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--resolution", type=float, help="default: by data set")
    parser.add_argument(
        "--steps", type=int, help="default: by method, null in the line"
    )
    parser.add_argument(
        "--method", choices=METHODS, nargs="+", default=["kernel_mixture", "rsgm"]
    )
    parser.add_argument("--output", help="a file of JSON lines, to go on from")
    args = parser.parse_args()
    resolution = args.resolution
    if resolution is None:
        resolution = RESOLUTIONS[args.dataset]
    case = "method", "dataset", "protocol", "seed", "resolution", "steps"
    results = Results(args.output, case)
    for seed in args.seed:
        split_key, train_key = jr.split(jr.key(seed))
        sample_key = jr.fold_in(train_key, 1)
        parts = split(args.protocol, split_key, DATASETS[args.dataset]())
        for name in args.method:
            named = name, args.dataset, args.protocol, seed, resolution, args.steps
            line = dict(zip(case, named, strict=True))
            if not results.missing(**line):
                continue
            data, validation, test = parts
            law, val_nll, seconds = METHODS[name](
                data, validation, resolution, args.steps, train_key
            )
            results.write(
                **line,
                train_seconds=round(seconds, 1),
                val_nll=round(val_nll, 4),
                test_nll=round(nll(log_density(law), test, 64), 4),
                **sample_metrics(law, test, sample_key),
                **negative_mass(law),
            )


if __name__ == "__main__":
    main()
