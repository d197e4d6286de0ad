"""Negative log-likelihood and time of a step against the dimension, for one wrapped
normal on the torus T^n (section 6 of De Bortoli et al. 2022).

    python -m experiments.torus --dim 1 10 100 --method denoising
    python -m experiments.torus --method denoising sliced moser_flow --output FILE

The target has a scale of 0.2 radians and a uniform mean; each step has fresh samples.
The first four methods are score-based models with those losses. One line of JSON for
each method, dimension and seed: `gap_per_dim` is the mean of log p - log q over 1,024
test samples, divided by n, and `nll_per_dim` what it adds to the entropy of the target,
-0.1905; `step_ms` is the median time of a training step. Densities take the exact
divergence up to n = 10, and Hutchinson's estimate from there on.
"""

import math
from functools import partial
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._arguments import count
from ._losses import score_matching_loss
from ._moser import floor_mass, floored, moser_loss, near_and_everywhere
from ._results import machine
from ._runner import SEED, Experiment, Option, run
from ._training import log_probs, samples_of, train


SCALE = 0.2
# What is left out by wrapping, at this scale, weighs exp(-120).
ENTROPY = math.log(SCALE * math.sqrt(2 * math.pi * math.e))
# A hundredth of the target's variance: it costs 2e-5 nats a dimension. What the noise
# has not forgotten at the end costs exp(-14).
MIN_VARIANCE, END = 4e-4, 14.0
BATCH, TEST = 512, 1024
EXACT_UP_TO = 10
# Fourier frequencies in random directions are of no use in many dimensions.
SIZE: dict[str, Any] = dict(width=256, depth=3, frequencies=0)
HARMONICS = 4
# Where the noise has forgotten the data, the inverse of the squared score makes a large
# number of what an implicit loss says about a small one, and all of that is variance.
LOSSES = {
    "denoising": (rgen.losses.denoising, rgen.losses.variance_weight),
    "sliced": (rgen.losses.sliced, rgen.losses.likelihood_weight),
    "implicit": (rgen.losses.implicit, rgen.losses.likelihood_weight),
    "hutchinson": (
        eqx.Partial(rgen.losses.implicit, divergence=rgen.HutchinsonDivergence()),
        rgen.losses.likelihood_weight,
    ),
}


def target(dim, key):
    torus = rgen.Torus(dim)
    return rgen.WrappedNormal(torus, torus.uniform(key), SCALE)


class HarmonicNetwork(eqx.Module):
    r"""A network of cosines and sines of the angles $\theta$ and of features $\tau$ of
    the noise: a given one, and harmonics of the angles whose gains depend on the noise,
    $\sum_k (1 + G_k \tau) (A_k \cos k\theta + B_k \sin k\theta)$.

    Noise comes to each angle alone, and a good part of the score of an angle is a
    function of that angle. For hundreds of these a wide MLP would be needed."""

    network: rgen.nn.ResidualMLP
    gain: eqx.nn.Linear
    mix: jax.Array

    def __init__(self, network: rgen.nn.ResidualMLP, dim: int, key: jax.Array):
        noise_size = network.first.weight.shape[1] - 2 * dim
        self.network = network
        self.gain = eqx.nn.Linear(noise_size, HARMONICS * dim, key=key)
        self.mix = jnp.zeros((HARMONICS, dim, 2 * dim))

    def __call__(self, features):
        count, dim, _ = self.mix.shape
        cos, sin, noise = jnp.split(features, [dim, 2 * dim])
        powers = jnp.stack([(cos + 1j * sin) ** k for k in range(1, count + 1)])
        harmonics = jnp.concatenate([powers.real, powers.imag], axis=1)
        gain = 1 + self.gain(noise).reshape(count, dim)
        added = gain * jnp.einsum("kij,kj->ki", self.mix, harmonics)
        return self.network(features) + jnp.sum(added, axis=0)


def with_harmonics(field, key):
    network = HarmonicNetwork(field.field.network, field.field.manifold.dim, key)
    return eqx.tree_at(lambda field: field.field.network, field, network)


def score_model(loss, weight, truth, steps, key):
    init_key, harmonic_key, key = jr.split(key, 3)
    schedule = rgen.LogUniformSchedule(MIN_VARIANCE, END)
    process = rgen.Brownian(truth.manifold, schedule)
    field = rgen.nn.ScoreField(process, key=init_key, **SIZE)
    field = with_harmonics(field, harmonic_key)
    controller = diffrax.PIDController(rtol=1e-4, atol=1e-4)
    flow = rgen.ProbabilityFlow(diffrax.Tsit5(), controller)
    exact = truth.manifold.dim <= EXACT_UP_TO
    divergence = rgen.ExactDivergence() if exact else rgen.HutchinsonDivergence()
    model = rgen.ScoreModel(field, process, flow=flow, divergence=divergence)
    loss = eqx.Partial(score_matching_loss, loss, weight=weight)
    return train(model, loss, samples_of(truth, BATCH), key, steps=steps)


def moser_flow(truth, steps, key):
    init_key, harmonic_key, near_key, key = jr.split(key, 4)
    field = rgen.nn.FlowField(truth.manifold, key=init_key, **SIZE)
    field = with_harmonics(field, harmonic_key)
    model = rgen.MoserFlow(truth.manifold, field)
    near = partial(_near, truth.manifold)
    sample_batch = samples_of(truth, BATCH)
    trained = train(model, partial(moser_loss, near), sample_batch, key, steps=steps)
    proposal = near(sample_batch(near_key))
    return trained._replace(model=floored(trained.model, proposal))


def _near(torus, x):
    """A proposal with kernels at so few points that they cost less than the network."""
    variances = jnp.append(SCALE**2 * jnp.array([0.25, 1.0, 4.0, 16.0]), END)
    kernels = partial(rgen.KernelMixture, rgen.heat_kernel(torus))
    return near_and_everywhere(kernels, variances, x[:16])


METHODS = {
    **{name: partial(score_model, *each) for name, each in LOSSES.items()},
    "moser_flow": moser_flow,
}


def quality(model, truth, key):
    test_key, density_key = jr.split(key)
    x = samples_of(truth, TEST)(test_key)
    if isinstance(model, rgen.ScoreModel):
        found = log_probs(model.log_prob, x, jr.split(density_key, TEST))
    else:
        found = log_probs(model.log_prob, x)
    gap = (log_probs(truth.log_prob, x) - found) / truth.manifold.dim
    mean = float(jnp.mean(gap))
    return dict(
        nll_per_dim=round(ENTROPY + mean, 4),
        gap_per_dim=round(mean, 4),
        gap_error=round(float(jnp.std(gap)) / TEST**0.5, 4),
        **floor_mass(model),
    )


def line(method, dim, seed, steps):
    target_key, train_key, test_key = jr.split(jr.key(seed), 3)
    truth = target(dim, target_key)
    trained = METHODS[method](truth, steps, train_key)
    return dict(
        **machine(),
        train_seconds=round(trained.seconds, 1),
        step_ms=round(trained.step_ms, 2),
        **quality(trained.model, truth, test_key),
    )


EXPERIMENT = Experiment(
    (
        Option("method", ("denoising",), choices=METHODS),
        Option("dim", (1, 2, 5, 10), read=count),
        SEED,
        Option("steps", (6000,), read=count),
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
