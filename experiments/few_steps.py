"""Samples in one to a hundred network evaluations, and how they compare with the data.

    python -m experiments.few_steps --case flood --seed 0
    python -m experiments.few_steps --case rotations_32 --method map --output FILE

One line of JSON for each method, case, seed and number of network evaluations, `nfe`.
A score is trained first, which all methods take but `ideal` and `map_self_distilled`,
a flow map that learns from the data alone; `map` is one that is distilled from the
teacher, and `consistency` the same map with fresh noise between its steps. `ideal`
takes other points of the data for samples, with the noise that samples have: what a
perfect model would reach. The others are solvers of the reversed SDE or of the
probability flow, with their default grids of times: `..._log` has equal steps of the
logarithm of the variance instead and `..._power` a `PowerGrid`, and `..._denoised` a
last step that denoises. `train_seconds` is the time of the teacher, 0 without one, and
`map_seconds` that of a map, with the trajectories of its teacher where `distilled` says
that it learns from them. `middle` is the time between its two steps, or in the middle
of its four; a consistency model has the same.

As many samples are compared as there are test points: `p_value` is that of the
permutation test with the MMD at four variances, `squared_mmd` the unbiased squared MMD
at one of them, and `biased_mmd` what published tables print, as `frechet_distance` is
on tori. Each `..._floor` is the same metric of other points of the data instead of
samples. One p-value says little of a model, since it varies with the samples of the
prior: `rejected` is the fraction of ten more, of other noise, at or below 5 %. The test
points stay the same, so compare it with that of `ideal`.
`log_density` is the mean log-density of samples under the target, where that is known,
and `log_density_floor` that of its own.
"""

import functools
import itertools
import math
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import rgen

from . import rotations
from ._losses import batch_loss, denoising_loss
from ._results import machine
from ._runner import SEED, Experiment, Option, run
from ._training import Trained, log_probs, minibatches, samples_of, train


SPHERE, LYSINE = rgen.Sphere(2), rgen.Torus(6)
# A factor of ten apart, from what the eye sees on a globe to its continents.
VARIANCES = 1e-3, 1e-2, 1e-1, 1.0
PERMUTATIONS = 999
LEVEL, REPEATS = 0.05, 10
# Samples whose mean log-density under a known target has a standard error of 0.015.
DENSITIES = 8192
BATCH, TEST = 512, 1024
TORUS_SCALE, TORUS_TEST = 0.2, 512
# In a hundred dimensions no two points are near.
TORUS_VARIANCES = 0.1, 1.0
TEACHER_STEPS = MAP_STEPS = 12_000
# Of a regression, whose steps are short.
REGRESSION_STEPS = 36_000
ROTATIONS_TEACHER_STEPS, TORUS_TEACHER_STEPS = 15_000, 36_000
TEACHER_RATE, MAP_RATE = 3e-3, 2e-3
# Of a velocity, in radians from noise to data. On T^2 a fifth of it and three times as
# much did as well.
HUBER_SCALE = 0.1
# Of the distance between the end of a map and that of its teacher's trajectory.
DISTANCE_SCALE = 0.03
# A network learns a quarter as many by heart: for K = 32 the squared distances of other
# noise were five times as large.
TRAJECTORIES, TRAJECTORY_STEPS, TRAJECTORY_BLOCK = 2**20, 32, 2**12
# Coordinates in memory, four gibibytes of them.
KEPT = 2**30
# In the network of a map to separate modes: 64 did less well than 256.
EXPERTS = 256
MIDDLES = tuple(k / 20 for k in range(2, 17))
MIDDLE_POINTS = 4096
# A solver of order two, at rounding on the scale of what is compared.
FLOW = rgen.FewSteps(64)


class Case(NamedTuple):
    """A process, the size of the networks, and the data of a seed: batches to train on,
    test points, other points, at least as many, and the target where it is known. The
    test is at all of the `variances`, `squared_mmd` at the second. `teach` trains the
    teacher, of the case, its data and a key, in `teacher_steps`. `distil`, of a case
    and a seed, returns the loss of a map and its batches; the network of the map has
    `experts`."""

    process: rgen.AbstractProcess
    size: dict[str, Any]
    data: Callable[[jax.Array], "Data"]
    variances: tuple[float, ...]
    teach: Callable[["Case", "Data", jax.Array], Trained]
    teacher_steps: int
    distil: Callable[[str, int], tuple[Callable, Callable]]
    experts: int = 1


Data = tuple[Callable, jax.Array, jax.Array, Any]


def by_denoising(case: Case, data: Data, key: jax.Array) -> Trained:
    init_key, key = jr.split(key)
    score = rgen.nn.ScoreField(case.process, **case.size, key=init_key)
    model = rgen.ScoreModel(score, case.process)
    steps, rate = case.teacher_steps, TEACHER_RATE
    return train(model, denoising_loss, data[0], key, steps=steps, rate=rate)


def as_in_rotations(case: Case, data: Data, key: jax.Array) -> Trained:
    """With batches of 1,024 at a third of the learning rate, most of them at times at
    which the components separate."""
    return rotations.rsgm(data[3], rotations.SIZE, case.teacher_steps, key)


def earth(name: str) -> Case:
    """The data with their copies, as published: a tenth is the test set."""
    process = rgen.Brownian(SPHERE, rgen.LogUniformSchedule(1e-4))
    size = dict(width=128, depth=4, max_frequency=50.0, damping=0.25)

    def data(key):
        split_key, other_key = jr.split(key)
        x = getattr(rgen.datasets, name)()
        train, _, test = rgen.datasets.random_split(split_key, x)
        other = jr.permutation(other_key, train)
        return minibatches(train, BATCH), test, other, None

    return Case(
        process, size, data, VARIANCES, by_denoising, TEACHER_STEPS, by_velocity
    )


def side_chains() -> Case:
    """Backbone and side chain of lysine; whole protein chains are in one part."""
    process = rgen.Brownian(LYSINE, rgen.LogUniformSchedule(1e-3))
    size = dict(width=256, depth=3, frequencies=0)

    def data(key):
        split_key, test_key, other_key = jr.split(key, 3)
        angles, chains = rgen.datasets.lysine()
        split = rgen.datasets.group_split(split_key, angles, chains)
        train, validation, test = map(jnp.asarray, split)
        test = jr.choice(test_key, test, (TEST,), replace=False)
        other = jr.permutation(other_key, validation)
        return minibatches(train, BATCH), test, other, None

    steps = TORUS_TEACHER_STEPS
    return Case(process, size, data, VARIANCES, by_denoising, steps, by_trajectories)


def parts(truth, n, key) -> tuple[jax.Array, jax.Array]:
    """Test points, and other points of a target."""
    test_key, other_key = jr.split(key)
    return samples_of(truth, n)(test_key), samples_of(truth, DENSITIES)(other_key)


def torus(dim: int) -> Case:
    """One wrapped normal of the scale 0.2 at a random place, as published."""
    manifold = rgen.Torus(dim)
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(1e-4))
    # Frequencies, for the far side of the place, where the flow parts. In many
    # dimensions they are of no use, and a wider network is; in a hundred, harmonics
    # are.
    many = dim > 32
    size: dict[str, Any] = dict(depth=3, width=256, frequencies=0)
    if dim == 2:
        size |= dict(width=128, frequencies=64, max_frequency=8.0)
    elif many:
        size |= dict(harmonics=4)

    def data(key):
        mean_key, key = jr.split(key)
        truth = rgen.WrappedNormal(manifold, manifold.uniform(mean_key), TORUS_SCALE)
        return samples_of(truth, BATCH), *parts(truth, TORUS_TEST, key), truth

    variances = TORUS_VARIANCES
    steps = TEACHER_STEPS if many else TORUS_TEACHER_STEPS
    return Case(process, size, data, variances, by_denoising, steps, by_trajectories)


def rotation_mixture(components: int) -> Case:
    schedule = rgen.LogUniformSchedule(rotations.MIN_VARIANCE, 5.0)
    process = rgen.Brownian(rotations.SO3, schedule)
    size = dict(parametrisation=rotations.FRAME, **rotations.SIZE)
    steps = ROTATIONS_TEACHER_STEPS

    def data(key):
        target_key, key = jr.split(key)
        truth = rotations.target(components, target_key)
        return samples_of(truth, BATCH), *parts(truth, TEST, key), truth

    teach, distil = as_in_rotations, by_trajectories
    return Case(process, size, data, VARIANCES, teach, steps, distil, EXPERTS)


EARTH = "volcano", "earthquake", "flood", "fire"
TORI = 2, 8, 32, 128
# Those for which all solvers are compared over all numbers of evaluations.
CURVES = "flood", "rotations_32", "side_chains"
CASES: dict[str, Callable[[], Case]] = {
    **{name: functools.partial(earth, name) for name in EARTH},
    "side_chains": side_chains,
    **{f"rotations_{k}": functools.partial(rotation_mixture, k) for k in (16, 32, 64)},
    **{f"torus_{dim}": functools.partial(torus, dim) for dim in TORI},
}


@functools.cache
def data_of(case: str, seed: int):
    return CASES[case]().data(jr.fold_in(jr.key(seed), 0))


@functools.cache
def teacher(case: str, seed: int) -> Trained:
    """A score model, trained by denoising."""
    own = CASES[case]()
    return own.teach(own, data_of(case, seed), jr.fold_in(jr.key(seed), 1))


@functools.cache
def flow_map(alone: bool, case: str, seed: int) -> Trained:
    """The field of a flow map: of the teacher, or learnt alone."""
    init_key, key = jr.split(jr.fold_in(jr.key(seed), 2))
    field = untrained_map(case, init_key)
    if not alone:
        # Its training is no part of that of the map.
        teacher(case, seed)
    start = time.perf_counter()
    distil = distil_of(alone, case)
    loss, sample_batch = distil(case, seed)
    own = setting(distil)
    trained = train(
        field,
        loss,
        sample_batch,
        key,
        steps=own.steps,
        rate=MAP_RATE,
        optimiser=own.optimiser,
    )
    return trained._replace(seconds=time.perf_counter() - start)


def untrained_map(case: str, key: jax.Array) -> rgen.nn.FlowMapField:
    own = CASES[case]()
    return rgen.nn.FlowMapField(own.process, experts=own.experts, key=key, **own.size)


def muon(schedule):
    """Matrices take five times the rate of the other weights."""
    matrices = lambda step: 5 * schedule(step)
    return optax.contrib.muon(matrices, adam_learning_rate=schedule)


def pseudo_huber(
    loss: Callable, key: jax.Array, *batch: jax.Array, scale: float = HUBER_SCALE
) -> jax.Array:
    """The mean over a batch of the pseudo-Huber loss, which is quadratic for small
    errors and linear for large ones. Between two modes the flow is steep, and a network
    smooths that: by the squared error it places points between the modes, by its root
    most of them in one of the two."""
    one = lambda *args: jnp.sqrt(loss(*args) + scale**2) - scale
    return batch_loss(one, key, *batch)


def two_times(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """Times that rise. Half of the maps start at noise, as all samples do."""
    early, late = jnp.sort(jr.uniform(key, (2, n)), axis=0)
    return jnp.where(jnp.arange(n) % 2 == 0, 0, early), late


def distillation_loss(process, velocity, field, x0, key, mean=pseudo_huber):
    time_key, noise_key = jr.split(key)
    one = functools.partial(rgen.losses.lagrangian, field, velocity, process)
    return mean(one, noise_key, x0, *two_times(time_key, len(x0)))


def self_distillation_loss(process, field, x0, key):
    data_key, map_key = jr.split(key)
    own = rgen.DiagonalVelocity(field)
    model = rgen.ScoreModel(rgen.FlowScore(process, own), process)
    data = denoising_loss(model, x0, data_key)
    return data + distillation_loss(process, own, field, x0, map_key)


def regression_loss(manifold, field, batch, key):
    def one(x, y, s, t, key):
        end = rgen.flow_map(manifold, field, x, s, t)
        error = manifold.log(end, y)
        return manifold.inner(end, error, error)

    return pseudo_huber(one, key, *batch, scale=DISTANCE_SCALE)


def trajectories(case, seed):
    """Those of the teacher's flow from noise, and the times of their points."""
    model = teacher(case, seed).model
    schedule = model.process.schedule
    times = rgen.PowerGrid()(model.process, TRAJECTORY_STEPS)
    n = number_of_trajectories(model.manifold)
    keys = jr.split(jr.fold_in(jr.key(seed), 6), n)
    of_flow = (schedule.t1 - times) / (schedule.t1 - schedule.t0)
    return _trajectories(model, times, keys), of_flow


def number_of_trajectories(manifold) -> int:
    """A multiple of a block of them."""
    points = KEPT // math.prod(manifold.point_shape) // (TRAJECTORY_STEPS + 1)
    return min(TRAJECTORIES, points) // TRAJECTORY_BLOCK * TRAJECTORY_BLOCK


@eqx.filter_jit
def _trajectories(model, times, keys):
    process = model.process
    flow = rgen.probability_flow(process, model.score)

    def one(key):
        return diffrax.diffeqsolve(
            flow,
            rgen.DenoisingMultistep(process),
            times[0],
            times[-1],
            None,
            process.prior.sample(key),
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.StepTo(times),
            max_steps=TRAJECTORY_STEPS,
        ).ys

    return jax.lax.map(one, keys, batch_size=TRAJECTORY_BLOCK)


def pairs(trajectories, times, key):
    """Points of trajectories, where they lead, and both times. Half of them start at
    noise, and half lead to data, as steps of samples do."""
    which_key, time_key = jr.split(key)
    which = jr.randint(which_key, (BATCH,), 0, len(trajectories))
    early, late = jnp.sort(jr.randint(time_key, (2, BATCH), 0, TRAJECTORY_STEPS), 0)
    fourth = jnp.arange(BATCH) % 4
    early = jnp.where(fourth < 2, 0, early)
    late = jnp.where(fourth % 2 == 0, TRAJECTORY_STEPS, late + 1)
    points = trajectories[which, early], trajectories[which, late]
    return *points, times[early], times[late]


# What a map is distilled with: a loss of a field, a batch and a key, and the batches.


def by_velocity(case: str, seed: int, loss: Callable = distillation_loss):
    """A loss of the teacher's velocity, on data with noise."""
    process = CASES[case]().process
    velocity = rgen.FlowVelocity(process, teacher(case, seed).model.score)
    return eqx.Partial(loss, process, velocity), data_of(case, seed)[0]


def by_trajectories(case: str, seed: int):
    """The regression on where the teacher leads."""
    manifold = CASES[case]().process.manifold
    loss = eqx.Partial(regression_loss, manifold)
    return loss, eqx.Partial(pairs, *trajectories(case, seed))


def by_itself(case: str, seed: int):
    """Distillation without a teacher."""
    process = CASES[case]().process
    return eqx.Partial(self_distillation_loss, process), data_of(case, seed)[0]


def distil_of(alone: bool, case: str) -> Callable:
    return by_itself if alone else CASES[case]().distil


class Setting(NamedTuple):
    """How a map is trained: the scale of the pseudo-Huber loss, steps, optimiser."""

    huber_scale: float
    steps: int
    optimiser: Callable[..., optax.GradientTransformation]


def setting(distil: Callable) -> Setting:
    if distil is by_trajectories:
        # A step of Muon takes longer than all the rest of that of such a network.
        return Setting(DISTANCE_SCALE, REGRESSION_STEPS, optax.adam)
    return Setting(HUBER_SCALE, MAP_STEPS, muon)


class Method(NamedTuple):
    """The numbers of evaluations; samples, with what they cost, for a case, a seed,
    such a number, a key, and how many they are; further numbers for the cases of a
    whole curve; and those at which the test is repeated."""

    evaluations: tuple[int, ...]
    samples: Callable[[str, int, int, jax.Array, int], tuple[jax.Array, int]]
    further: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()


def model_method(
    evaluations: tuple[int, ...], model: Callable, further=(), repeated=()
) -> Method:
    """Of a function from a case, a seed and a number of evaluations to a model."""

    def samples(case, seed, nfe, key, n):
        x, cost = rgen.sample_and_cost(model(case, seed, nfe), key, n)
        return x, int(jnp.max(cost.evaluations))

    return Method(evaluations, samples, further, repeated)


def map_method(alone: bool) -> Method:
    def model(case, seed, nfe):
        field = flow_map(alone, case, seed).model
        base = CASES[case]().process.prior
        return rgen.FlowMap(base, field, map_times(alone, case, seed, nfe))

    return model_method((1, 2, 4), model, repeated=(1,))


def consistency_model(case, seed, nfe):
    field = flow_map(False, case, seed).model
    times = map_times(False, case, seed, nfe)
    return rgen.ConsistencyModel(CASES[case]().process, field, times)


def map_times(alone: bool, case: str, seed: int, nfe: int) -> tuple[float, ...]:
    return halved(middle_time(alone, case, seed) if nfe > 1 else 0.5, nfe)


def halved(middle: float, n: int) -> tuple[float, ...]:
    """The times of `n` steps, as many on each side of the middle."""
    found = np.interp(np.linspace(0, 1, n + 1), [0, 0.5, 1], [0, middle, 1])
    return tuple(found.tolist())


@functools.cache
def middle_time(alone: bool, case: str, seed: int) -> float:
    """The middle of two steps that end closest to where the flow leads."""
    process = CASES[case]().process
    field = flow_map(alone, case, seed).model
    if alone:
        score = rgen.FlowScore(process, rgen.DiagonalVelocity(field))
    else:
        score = teacher(case, seed).model.score
    keys = jr.split(jr.fold_in(jr.key(seed), 5), MIDDLE_POINTS)
    x = jax.vmap(process.prior.sample)(keys)
    end = ends(process, score, x, FLOW)
    apart = functools.partial(distances, process, field, x, end)
    found = [jnp.mean(apart(jnp.array([0.0, middle, 1.0]))) for middle in MIDDLES]
    return MIDDLES[int(jnp.argmin(jnp.array(found)))]


@eqx.filter_jit
def ends(process, score, x, sampler):
    """Where a sampler without noise of its own leads from noise."""
    end = lambda x: sampler(score, process, x, jr.key(0))[0]
    return jax.lax.map(end, x, batch_size=512)


@eqx.filter_jit
def distances(process, field, x, end, times):
    """How far from `end` the steps of a map end."""

    def one(x, end):
        for s, t in itertools.pairwise(times):
            x = rgen.flow_map(process.manifold, field, x, s, t)
        return process.manifold.dist(x, end)

    return jax.vmap(one)(x, end)


def solver_method(
    make: Callable[[rgen.AbstractProcess, int], Any], least=2, repeated=()
) -> Method:
    """Of a function from a process and a number of evaluations to a sampler."""

    def model(case, seed, nfe):
        trained = teacher(case, seed).model
        sampler = make(trained.process, nfe)
        return eqx.tree_at(lambda m: m.sampler, trained, sampler)

    further = tuple(n for n in (2, 4, 8, 16, 32, 64) if n >= least)
    return model_method((10, 100), model, further, repeated)


def variant(make: Callable[[rgen.AbstractProcess, int], Any]) -> Method:
    """Of a sampler with another grid of times, or with a last denoising step."""
    samples = solver_method(make).samples
    return Method((10,), samples, further=(8, 16))


def ideal(case, seed, nfe, key, n):
    """Other points of the data, each once, with the noise that samples have."""
    process, other = CASES[case]().process, data_of(case, seed)[2]
    data_key, noise_key = jr.split(key)
    drawn = jr.choice(data_key, other, (n,), replace=False)
    noised = jax.vmap(process.sample, (0, None, 0))
    t0 = jnp.array(process.schedule.t0)
    return noised(drawn, t0, jr.split(noise_key, n)), 0


def geodesic_heun(process, nfe):
    solver = rgen.NoiseClock(rgen.GeodesicHeun(process.manifold), process.schedule)
    return rgen.FewSteps(nfe // 2, solver)


def munthe_kaas(process, nfe):
    third_order = rgen.MuntheKaas(process.manifold, diffrax.Bosh3())
    # Three stages: the fourth is the first of the next step.
    return rgen.FewSteps(nfe // 3, rgen.NoiseClock(third_order, process.schedule))


METHODS = {
    "ideal": Method((0,), ideal, repeated=(0,)),
    "map": map_method(alone=False),
    "map_self_distilled": map_method(alone=True),
    "consistency": model_method((2, 4), consistency_model, repeated=(2,)),
    "reverse_sde": solver_method(
        lambda process, nfe: rgen.ReverseSDE(nfe), repeated=(100,)
    ),
    "multistep": solver_method(lambda process, nfe: rgen.FewSteps(nfe), repeated=(10,)),
    "geodesic_heun": solver_method(geodesic_heun),
    "munthe_kaas": solver_method(munthe_kaas, least=4),
    "churn": solver_method(lambda process, nfe: rgen.Churn(nfe // 2, nfe / 8)),
    "reverse_sde_power": variant(
        lambda process, nfe: rgen.ReverseSDE(nfe, grid=rgen.PowerGrid())
    ),
    "multistep_log": variant(
        lambda process, nfe: rgen.FewSteps(nfe, grid=rgen.AbstractProcess.time_grid)
    ),
    "multistep_denoised": variant(
        lambda process, nfe: rgen.Denoised(rgen.FewSteps(nfe - 1))
    ),
}


def numbers(method, case, seed):
    own = METHODS[method]
    found = own.evaluations + (own.further if case in CURVES else ())
    return [(n,) for n in sorted(found)]


def p_value(case, seed, x, key):
    own, test = CASES[case](), data_of(case, seed)[1]
    manifold, variances = own.process.manifold, jnp.array(own.variances)
    args = x, test, variances, key, PERMUTATIONS
    return float(rgen.metrics.permutation_test(manifold, *args).p_value)


def rejected(method, case, seed, nfe, key):
    """The fraction of further tests, of other samples, that reject."""
    n, found = len(data_of(case, seed)[1]), []
    for each in jr.split(key, REPEATS):
        sample_key, test_key = jr.split(each)
        x, _ = METHODS[method].samples(case, seed, nfe, sample_key, n)
        found.append(p_value(case, seed, x, test_key) <= LEVEL)
    return sum(found) / REPEATS


def line(method, case, seed, nfe):
    own = CASES[case]()
    manifold = own.process.manifold
    _, test, other, truth = data_of(case, seed)
    # The cases do not share the noise of a seed.
    key = jr.fold_in(jr.fold_in(jr.key(seed), 3), zlib.crc32(case.encode()))
    sample_key, test_key, repeats_key = jr.split(key, 3)
    n = len(test) if truth is None else max(DENSITIES, len(test))
    every, evaluations = METHODS[method].samples(case, seed, nfe, sample_key, n)
    x = every[: len(test)]
    metrics = {
        "squared_mmd": functools.partial(rgen.metrics.squared_mmd, v=own.variances[1]),
        "biased_mmd": rgen.metrics.biased_mmd,
        "frechet_distance": rgen.metrics.frechet_distance,
    }
    found = {name: metric(manifold, x, test) for name, metric in metrics.items()}
    floors = {
        f"{name}_floor": metric(manifold, other[: len(test)], test)
        for name, metric in metrics.items()
    }
    again = {}
    if nfe in METHODS[method].repeated:
        again["rejected"] = rejected(method, case, seed, nfe, repeats_key)
    if truth is not None:
        found["log_density"] = jnp.mean(log_probs(truth.log_prob, every))
        floors["log_density_floor"] = jnp.mean(log_probs(truth.log_prob, other))
    return dict(
        evaluations=evaluations,
        points=len(test),
        teacher_steps=own.teacher_steps,
        p_value=round(p_value(case, seed, x, test_key), 4),
        **again,
        **{name: float(f"{value:.4g}") for name, value in (found | floors).items()},
        **trainings(method, case, seed, nfe),
        **machine(),
    )


def trainings(method, case, seed, nfe) -> dict[str, Any]:
    alone = method == "map_self_distilled"
    taught = method != "ideal" and not alone
    seconds = round(teacher(case, seed).seconds, 1) if taught else 0.0
    found: dict[str, Any] = {"train_seconds": seconds}
    if alone or method in ("map", "consistency"):
        found |= distillation(alone, case)
        found["map_seconds"] = round(flow_map(alone, case, seed).seconds, 1)
        if nfe > 1:
            found["middle"] = middle_time(alone, case, seed)
    return found


def distillation(alone, case) -> dict[str, Any]:
    """The setting of a map."""
    distil, own = distil_of(alone, case), CASES[case]()
    chosen = setting(distil)
    found = dict(
        distilled=distil.__name__,
        huber_scale=chosen.huber_scale,
        map_steps=chosen.steps,
        optimiser=chosen.optimiser.__name__,
        experts=own.experts,
    )
    if distil is by_trajectories:
        found["trajectories"] = number_of_trajectories(own.process.manifold)
    return found


EXPERIMENT = Experiment(
    (
        Option("method", tuple(METHODS), choices=METHODS),
        Option("case", choices=CASES),
        SEED,
    ),
    line,
    ("nfe",),
    numbers,
)


if __name__ == "__main__":
    run(EXPERIMENT, __doc__)
