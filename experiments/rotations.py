"""Log-likelihood of mixtures of wrapped normals on SO(3) (Table 5 of De Bortoli et al.
2022), against the ceiling: the mean log-density of the target itself.

    python -m experiments.rotations --components 16 --seed 0
    python -m experiments.rotations --components 16 32 64 --method rsgm --output FILE

One line of JSON for each number of components, seed and method. All see fresh samples
of the target at every step. What the fields say is at `experiments._quality.quality`.
"""

from functools import partial
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._arguments import count
from ._exp_wrapped import exp_wrapped as exp_wrapped_model
from ._losses import flow_matching_loss, score_matching_loss
from ._moser import floored, moser_loss
from ._quality import quality
from ._results import machine
from ._runner import SEED, Experiment, Option, run
from ._training import samples_of, train


SO3 = rgen.SpecialOrthogonal(3)
# A twentieth of the variance of a component: it costs 0.002 nats.
MIN_VARIANCE = 2.5e-4
BATCH = 1024
STEPS = 30_000
# A third of the rate of the other experiments. What a score lacks here it lacks for the
# noise of its targets, which at that rate does not average out however long it trains.
RATE = 1e-3
SIZE: dict[str, Any] = dict(width=256, depth=4, frequencies=384, max_frequency=4.0)
# The highest Fourier frequencies of points are as high in a chart: they are sums over
# three coordinates rather than nine, and entries of a matrix differ more than angles.
CHART_SIZE = {**SIZE, "max_frequency": 8.0}
SAMPLER = rgen.ReverseSDE(steps=100)
FRAME = rgen.nn.LieAlgebra()
CONTROLLER = diffrax.PIDController(rtol=1e-4, atol=1e-4)
FLOW = rgen.ProbabilityFlow(diffrax.Tsit5(), CONTROLLER)


def target(n, key):
    """Equal weights, Haar means, scales of precision Gamma(100, 1) in the Frobenius
    norm, which is sqrt(2) times the angle."""
    mean_key, scale_key = jr.split(key)
    means = jax.vmap(SO3.uniform)(jr.split(mean_key, n))
    scales = (2 * jr.gamma(scale_key, 100.0, (n,))) ** -0.5
    components = eqx.filter_vmap(partial(rgen.WrappedNormal, SO3))(means, scales)
    return rgen.Mixture(components, jnp.zeros(n))


def times(process, key, n):
    """Three of four in the middle half of the logarithm of the variance, where
    components part from one another."""
    t = process.stratified_times(key, n)
    return jnp.interp(
        t, jnp.array([0, 1 / 8, 7 / 8, 1]), jnp.array([0, 1 / 4, 3 / 4, 1])
    )


# Each method, with networks of a size, returns a `Trained` distribution.


def rsgm(truth, size, steps, key):
    init_key, key = jr.split(key)
    process = rgen.Brownian(SO3, rgen.LogUniformSchedule(MIN_VARIANCE, 5.0))
    field = rgen.nn.ScoreField(process, parametrisation=FRAME, key=init_key, **size)
    model = rgen.ScoreModel(field, process, SAMPLER, FLOW)
    loss = eqx.Partial(score_matching_loss, rgen.losses.denoising, times=times)
    return train(model, loss, samples_of(truth, BATCH), key, steps=steps, rate=RATE)


def exp_wrapped(truth, size, steps, key):
    model = partial(exp_wrapped_model, batch=BATCH, steps=steps, rate=RATE)
    return model(truth, MIN_VARIANCE, size, FLOW, SAMPLER, key)


def flow_matching(truth, size, steps, key):
    init_key, key = jr.split(key)
    field = _flow_field(size, init_key)
    model = rgen.Flow(rgen.Uniform(SO3), field, stepsize_controller=CONTROLLER)
    sample_batch = samples_of(truth, BATCH)
    return train(model, flow_matching_loss, sample_batch, key, steps=steps, rate=RATE)


def moser_flow(truth, size, steps, key):
    init_key, key = jr.split(key)
    field = _flow_field(size, init_key)
    model = rgen.MoserFlow(SO3, field, stepsize_controller=CONTROLLER)
    sample_batch = samples_of(truth, BATCH)
    # Fewer, for each costs about eight times as much as one of the others.
    steps = max(1, steps // 8)
    uniform = rgen.Uniform(SO3)
    loss = partial(moser_loss, lambda x: uniform)
    trained = train(model, loss, sample_batch, key, steps=steps)
    return trained._replace(model=floored(trained.model, uniform))


def _flow_field(size, key):
    kwargs = dict(v_min=MIN_VARIANCE, parametrisation=FRAME, key=key)
    return rgen.nn.FlowField(SO3, **kwargs, **size)


METHODS = {
    "rsgm": (rsgm, SIZE),
    "exp_wrapped": (exp_wrapped, CHART_SIZE),
    "flow_matching": (flow_matching, SIZE),
    "moser_flow": (moser_flow, SIZE),
}


def line(method, components, seed, steps):
    target_key, train_key, test_key = jr.split(jr.key(seed), 3)
    truth = target(components, target_key)
    train_model, size = METHODS[method]
    trained = train_model(truth, size, steps, train_key)
    return dict(
        setting=size,
        **machine(),
        train_seconds=round(trained.seconds, 1),
        **quality(trained.model, truth, rgen.Uniform(SO3), test_key),
    )


EXPERIMENT = Experiment(
    (
        Option("method", ("rsgm",), choices=METHODS),
        Option("components", (16, 32, 64), read=count),
        SEED,
        Option("steps", (STEPS,), read=count),
    ),
    line,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
