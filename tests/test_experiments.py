import functools
import json
import math
import re
from types import SimpleNamespace
from unittest.mock import Mock

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from helpers import needs_earth_files, slow, sphere_rule, torus_rule

import rgen
from experiments import (
    _conditional,
    _exp_wrapped,
    _losses,
    _moser,
    _quality,
    _rotamers,
    _training,
    earth,
    few_steps,
    hyperbolic,
    map_losses,
    passes as passes_experiment,
    report,
    rotations,
    side_chains,
    solver_errors,
    torus,
    wasserstein_bound,
)
from experiments._moser import floor_mass, floored
from experiments._passes import Counted, passes
from experiments._published import EARTH
from experiments._report import _bound, _earth, _lines, _tables
from experiments._results import Results, read
from experiments._runner import run
from experiments._training import train


def results(path):
    return Results(str(path), ("method", "seed"))


def test_a_run_goes_on_where_it_was_interrupted(tmp_path, capsys):
    path = tmp_path / "folder" / "lines.jsonl"
    first = results(path)
    assert first.missing(method="a", seed=0)
    first.write(method="a", seed=0, nll=1.5)
    assert not first.missing(method="a", seed=0)
    second = results(path)
    assert not second.missing(method="a", seed=0)
    assert second.missing(method="a", seed=1)
    second.write(method="a", seed=1, nll=2.5)
    lines = [{"method": "a", "seed": s, "nll": s + 1.5} for s in (0, 1)]
    assert read(path) == lines
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines


def test_without_a_file_lines_are_printed(capsys):
    nowhere = Results(None, ("method",))
    assert nowhere.missing(method="a")
    nowhere.write(method="a")
    assert json.loads(capsys.readouterr().out) == {"method": "a"}


@pytest.mark.parametrize(
    "damage",
    [
        '{"method": "a", "se\n',
        "[1]\n",
        "\n",
        '{"method": "b", "seed": 1}',
        '{"seed": 1}\n',
        '{"method": "a", "seed": 0}\n',
        '{"method": "b", "seed": [1]}\n',
        '{"method": "b", "seed": 1, "nll": NaN}\n',
        '{"method": "b", "seed": 1, "nll": 1e999}\n',
        '{"method": "b", "dim": 2, "seed": 1}\n',
        '{"method": "b\udcff", "seed": 1}\n',
    ],
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, damage):
    path = tmp_path / "lines.jsonl"
    before = '{"method": "a", "seed": 0}\n' + damage
    path.write_text(before, "utf-8", "surrogateescape")
    with pytest.raises(ValueError, match=r"lines\.jsonl, line 2: expected"):
        results(path)
    assert path.read_text("utf-8", "surrogateescape") == before


def test_what_is_no_result_is_not_written(tmp_path):
    path = tmp_path / "lines.jsonl"
    found = results(path)
    with pytest.raises(ValueError, match=r"finite numbers, got \['nll'\]"):
        found.write(method="a", seed=0, nll=math.nan)
    assert found.missing(method="a", seed=0)
    found.write(method="a", seed=0, nll=1.0)
    with pytest.raises(ValueError, match="expected a missing case"):
        found.write(method="a", seed=0, nll=2.0)
    assert read(path) == [{"method": "a", "seed": 0, "nll": 1.0}]


def test_two_runs_share_a_file(tmp_path):
    one, other = (results(tmp_path / "lines.jsonl") for _ in range(2))
    todo = one.todo([("a", 0), ("a", 1)])
    one.write(**next(todo))
    assert not other.missing(method="a", seed=0)
    other.write(method="a", seed=1)
    assert list(todo) == []


def test_a_file_that_cannot_be_written_is_an_error_before_the_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        results(tmp_path / "file" / "lines.jsonl")


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path, monkeypatch):
    path = tmp_path / "lines.jsonl"
    found = results(path)
    found.write(method="a", seed=0)
    monkeypatch.setattr("os.fsync", Mock(side_effect=OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        found.write(method="a", seed=1)
    assert read(path) == [{"method": "a", "seed": 0}]


@pytest.mark.parametrize("name", report.PAGES)
def test_the_page_of_results_is_that_of_the_results(name):
    written = (report.DOCS / name).read_text("utf-8")
    assert written == report.page(name), "run: python -m experiments.report"


def words(page="results_in_full.md"):
    """The page on one line."""
    return " ".join((report.DOCS / page).read_text("utf-8").split())


def km(variance, digits=0):
    """A standard deviation on the Earth."""
    return f"{round(6371 * variance**0.5, digits):.0f} km"


@pytest.mark.parametrize(
    "sentence",
    [
        f"weight {_moser.PENALTY:g}. Their densities are cut off at {earth.FLOOR} of",
        "Moser flows train for half of them",
        f"a variance of at least $10^{{{math.log10(earth.MIN_VARIANCE):.0f}}}$ square "
        f"radians, a standard deviation of {km(earth.MIN_VARIANCE)} on the Earth",
        f"a hundredth of the variance, a standard deviation of {km(1e-7)}",
        f"to at most {earth.NOISE_FACTORS[-1]} times the variance",
        f"up to {km(earth.NOISE_FACTORS[-1] * earth.MIN_VARIANCE, -1)} on validation",
        {(10, 3): "at ten times the variance and at three times"}[earth.MOSER_FACTORS],
        f"for {earth.LIKELIHOOD_STEPS:,} steps of {earth.LIKELIHOOD_BATCH} points",
        {(3, 6): "three small networks, of six on the floods"}[
            earth.MEMBERS["volcano"], earth.MEMBERS["flood"]
        ],
        f"networks train for {earth.CELL_STEPS:,} steps",
        {8: "the best of eight checkpoints"}[_training.SELECTIONS],
        f"the heat kernel of variance {earth.MMD_VARIANCE}, which is "
        f"{1 / (2 * math.pi * earth.MMD_VARIANCE):.0f} between a point and itself",
        f"One wrapped normal of scale {torus.SCALE} on",
        f"the exact divergence for n up to {torus.EXACT_UP_TO},",
        f"The {passes_experiment.SAMPLER_STEPS} steps of a sampler",
        f"a heat kernel of variance {wasserstein_bound.VARIANCE} at the origin",
        f"the noise of {wasserstein_bound.SAMPLES:,} samples",
    ],
)
def test_the_page_states_the_settings_of_the_code(sentence):
    assert sentence and sentence in words()


def behind(groups, cases):
    """The cases whose mean is above its published number by more than the interval."""
    found = set()
    for method, dataset in cases:
        published = sum(map(float, EARTH[method][dataset].split("±")))
        lines = groups[method, dataset]
        if np.mean([line["test_nll"] for line in lines]) > published:
            found.add((method, dataset))
    return found


def test_rivals_are_behind_their_published_numbers_only_where_the_page_says():
    groups = _lines.grouped("earth", "protocol", "method", "dataset")
    legacy = {key[1:]: group for key, group in groups.items() if key[0] == "legacy"}
    cases = [(method, dataset) for method in EARTH for dataset in EARTH[method]]
    assert behind(legacy, cases) == {
        ("normalizing_flow", "volcano"),
        ("moser_flow", "volcano"),
        ("rsgm", "volcano"),
        ("flow_matching", "volcano"),
        ("flow_matching", "flood"),
        ("flow_matching", "fire"),
    }
    every = _lines.grouped("earth_resolutions", "resolution", "method", "dataset")
    finest = min(key[0] for key in every)
    fine = {key[1:]: group for key, group in every.items() if key[0] == finest}
    assert behind(fine, [(method, "volcano") for method in EARTH]) == set()


@needs_earth_files
@pytest.mark.parametrize(
    ("dataset", "rows", "distinct", "low", "high"),
    [("volcano", 827, 267, 83, 88), ("earthquake", 6120, 5447, 16, 17)],
)
def test_copies_in_the_test_points_are_as_many_as_the_page_says(
    dataset, rows, distinct, low, high
):
    x = earth.DATASETS[dataset]()
    assert (len(x), len(rgen.datasets.distinct(x))) == (rows, distinct)
    shares = []
    for seed in range(5):
        split_key, _, _ = jr.split(jr.key(seed), 3)
        data, _, test = earth.split("legacy", split_key, x)
        seen = set(map(tuple, np.asarray(data)))
        shares.append(
            np.mean([point in seen for point in map(tuple, np.asarray(test))])
        )
    assert (round(100 * min(shares)), round(100 * max(shares))) == (low, high)
    for page in report.PAGES:
        assert f"{low} to {high} %" in words(page)
    if dataset == "volcano":
        assert f"Of {rows} rows {distinct} are distinct" in words()
        tests = round(rows / 10), round(distinct / 10)
        assert "about {} of the volcanoes, and {} of".format(*tests) in words()


@needs_earth_files
def test_test_points_of_cells_are_near_training_points_but_not_close():
    x = earth.DATASETS["flood"]()
    data, _, test = earth.split("cells", jr.split(jr.key(0), 3)[0], x)
    chord = np.linalg.norm(np.asarray(test)[:, None] - np.asarray(data), axis=-1)
    nearest = 2 * np.arcsin(np.min(chord, axis=1) / 2)
    assert np.mean(nearest < earth.CELL) > 0.5
    assert np.mean(nearest < 20 / 6371) < 0.2


@pytest.mark.parametrize("folder", ["rgen", "benchmarks"])
def test_nothing_depends_on_the_experiments(folder):
    for path in (_lines.ROOT / folder).rglob("*.py"):
        assert not re.search(r"(from|import) experiments", path.read_text()), path


def test_every_file_of_results_is_whole():
    for path in _lines.RESULTS.iterdir():
        assert read(path), path


class Number(eqx.Module):
    """A model of one parameter, whose loss is least at 3."""

    value: jax.Array
    other: jax.Array

    def loss(self, x, key):
        return jnp.mean((self.value - x) ** 2)


def trained(**kwargs):
    model = Number(jnp.array(0.0), jnp.array(5.0))
    sample_batch = eqx.Partial(
        lambda key, at: at + jr.normal(key, (8,)), at=jnp.array(3.0)
    )
    return train(model, Number.loss, sample_batch, jr.key(0), rate=0.1, **kwargs).model


def test_training_averages_what_it_fits_and_leaves_the_rest_alone():
    # Of a loss whose slope is one, Adam's steps are those of the schedule. That each
    # iterate comes in with the weight 10 / (i + 10) makes them binomial in the end.
    steps, rate = 40, 0.1
    model = Number(jnp.array(0.0), jnp.array(5.0))
    sample_batch = eqx.Partial(lambda key: jnp.zeros(1))
    slope = lambda model, x, key: model.value
    model = train(model, slope, sample_batch, jr.key(0), steps=steps, rate=rate).model
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, steps // 10, steps)
    iterates = -np.cumsum([schedule(i) for i in range(steps)])
    weights = [math.comb(i + 9, 9) for i in range(steps)]
    expected = np.average(iterates, weights=weights)
    # What Adam divides by, 1 - 0.999^i, is right to 6e-5 in float32 at first.
    assert model.value == pytest.approx(expected, rel=1e-4)
    assert model.other == 5


def test_training_that_diverges_is_an_error():
    model = Number(jnp.array(0.0), jnp.array(5.0))
    sample_batch = eqx.Partial(lambda key: jnp.zeros(1))
    steep = lambda model, x, key: jnp.sqrt(model.value)
    with pytest.raises(FloatingPointError, match="finite weights"):
        train(model, steep, sample_batch, jr.key(0), steps=10)


def test_training_selects_the_best_distribution_of_eight():
    seen = []

    def candidate(model):
        seen.append(float(model.value))
        return f"distribution of {seen[-1]}", abs(seen[-1] - 1.0)

    best = trained(steps=80, candidate=candidate)
    assert len(seen) == 8
    nearest = min(seen, key=lambda value: abs(value - 1))
    assert best == f"distribution of {nearest}"
    assert nearest != seen[-1]


def test_training_passes_over_candidates_without_a_number():
    values = iter([2.0, 1.0, math.nan, math.inf, *[3.0] * 4])
    candidate = lambda model: (value := next(values), value)
    assert trained(steps=8, candidate=candidate) == 1.0


def test_training_without_a_finite_candidate_ends_in_an_error():
    with pytest.raises(FloatingPointError, match="finite NLL"):
        trained(steps=8, candidate=lambda model: (model, math.nan))


def test_training_ends_in_the_error_of_a_candidate():
    def candidate(model):
        raise EOFError

    with pytest.raises(EOFError):
        trained(steps=8, candidate=candidate)


S2 = rgen.Sphere(2)
PROCESS = rgen.Brownian(S2, rgen.LogUniformSchedule(1e-2, 5.0))


def counted_field():
    size = dict(width=8, depth=2, frequencies=4)
    field = rgen.nn.ScoreField(PROCESS, key=jr.key(0), **size)
    return eqx.tree_at(lambda f: f.field.network, field, Counted(field.field.network))


def counts(forward=0, tangent=0, reverse=0):
    return dict(forward=forward, tangent=tangent, reverse=reverse)


@pytest.mark.slow
def test_passes_of_a_network_are_counted():
    field, x, t = counted_field(), S2.origin, jnp.array(0.5)
    assert passes(field, x, t) == counts(1)
    several = eqx.filter_jit(jax.vmap(lambda x: field(x, t)))
    assert passes(several, jnp.stack([x] * 5)) == counts(5)
    divergence = eqx.filter_jit(lambda x: S2.divergence(lambda y: field(y, t), x))
    assert passes(divergence, x) == counts(1, tangent=2)

    def gradient(loss):
        of = lambda field: loss(field, PROCESS, x, t, jr.key(0))
        return passes(eqx.filter_jit(eqx.filter_grad(of)), field)

    assert gradient(rgen.losses.denoising) == counts(1, reverse=1)
    # The forward pass goes back, and each tangent pass.
    assert gradient(rgen.losses.implicit) == counts(1, tangent=2, reverse=3)


def test_passes_are_those_that_a_model_reports():
    field = counted_field()
    distribution = rgen.ScoreModel(field, PROCESS, sampler=rgen.ReverseSDE(steps=20))
    density = eqx.filter_jit(distribution.log_prob_and_cost)
    found = passes(density, S2.origin)
    evaluations = density(S2.origin)[1].evaluations
    # The field is evaluated once, with its two derivatives.
    assert found == counts(evaluations, tangent=2 * evaluations)
    sample = eqx.filter_jit(distribution.sample_and_cost)
    assert passes(sample, jr.key(0)) == counts(20)
    assert sample(jr.key(0))[1].evaluations == 20


def test_the_positive_part_of_a_moser_flow_is_normalised():
    # Of the ratio 1 + 6 z, for the divergence of grad(3 z) is -6 z.
    field = lambda x, t: S2.to_tangent(x, jnp.array([0.0, 0.0, 3.0]))
    distribution = floored(rgen.MoserFlow(S2, field), rgen.Uniform(S2))
    x, w = sphere_rule(200)
    density = jax.vmap(distribution.log_prob)(jnp.asarray(x, jnp.float32))
    # The mean of max(1 + 6 z, 0) for z uniform on [-1, 1] is 49 / 24. That of what is
    # added has a standard error of 0.012 over 16,384 points.
    assert np.sum(w * np.exp(density)) == pytest.approx(1, rel=0.03)
    assert floor_mass(distribution)["floor_mass"] == pytest.approx(25 / 24, abs=0.05)
    positive = x[:, 2] > 0
    top = np.log((1 + 6 * x[positive, 2]) * 24 / 49 / (4 * np.pi))
    np.testing.assert_allclose(density[positive], top, atol=0.03)


def test_a_moser_flow_without_negative_mass_is_left_as_it_is():
    # Of the ratio 2 k exp(k (z - 1)), a bump so narrow that hardly a uniform point sees
    # it: div(g grad z) is the derivative of (1 - z^2) g, which is 1 + z less the
    # integral of the ratio from -1 on.
    k = 1000.0

    def field(x, t):
        low = 1 - x[2]
        g = -(2 * jnp.expm1(-k * low) + low) / (low * (1 + x[2]))
        return g * S2.to_tangent(x, jnp.array([0.0, 0.0, 1.0]))

    distribution = floored(rgen.MoserFlow(S2, field), rgen.Uniform(S2))
    assert floor_mass(distribution)["floor_mass"] == pytest.approx(0, abs=1e-3)


def test_a_proposal_near_the_data_finds_negative_mass_there():
    # Of the ratio 1 + k e^{-k w} - 2 k e^{-2 k w}, with w = 1 - z, which is negative
    # where e^{-k w} is above a half: there is a mass of -1/8, but for the order of 1/k,
    # in a cap that one uniform point in 30,000 hits.
    k = 1e4

    def field(x, t):
        low = (x[0] ** 2 + x[1] ** 2) / (1 + x[2])
        g = jnp.exp(-k * low) * jnp.expm1(-k * low) / (low * (1 + x[2]))
        return g * S2.to_tangent(x, jnp.array([0.0, 0.0, 1.0]))

    near = earth._near(1e-5, jnp.array([[0.0, 0.0, 1.0]]))
    distribution = floored(rgen.MoserFlow(S2, field), near)
    # The standard error is 0.0024.
    assert floor_mass(distribution)["floor_mass"] == pytest.approx(1 / 8, abs=0.01)


def error_on_the_circle(time, variance=0.25, n=1024):
    """W1 between p_0 and the distribution of the reversed process from the uniform
    distribution, with an exact score and no step: p_0(x) / (2 pi) times the integral of
    p_{T|0}(y | x) / p_T(y) over y, by Fourier series on a grid."""
    h, k = 2 * np.pi / n, np.arange(1, n // 4)
    x = (np.arange(n) + 0.5) * h - np.pi
    cos = np.cos(k[:, None] * x)
    damped = lambda values, t: np.exp(-(k**2) * t / 2) * values
    series = lambda mean, waves: (mean + 2 * waves @ cos) / (2 * np.pi)
    kernel = lambda t: series(1, damped(1, t))
    ratio = h / kernel(variance + time)
    smoothed = series(np.sum(ratio), damped(cos @ ratio, time))
    difference = kernel(variance) * (smoothed / (2 * np.pi) - 1)
    return h * np.sum(np.abs(np.cumsum(2 * h * difference[n // 2 :])))


def test_the_error_on_the_circle_is_that_of_its_exact_distribution():
    found = _lines.grouped("wasserstein_bound", "manifold", "sweep")["circle", "time"]
    for line in found:
        # The noise of the samples, and the error of a step of 1/200.
        exact = error_on_the_circle(line["time"])
        assert line["w1"] == pytest.approx(exact, abs=4 * line["noise"])


@pytest.mark.parametrize(
    ("time", "slope"), [(1.0, -1.9), (2.0, -1.3), (5.0, -1.0), (8.0, -1.0)]
)
def test_in_the_end_the_gap_is_the_rate(time, slope):
    """As the page says, to the digits that it has."""
    ends = [math.log(error_on_the_circle(time + h)) for h in (-0.125, 0.125)]
    assert (ends[1] - ends[0]) / 0.25 == pytest.approx(slope, abs=0.05)
    assert "-1.9 at $T = 1$, -1.3 at 2 and -1.0 at 5" in words()


@pytest.mark.slow
@pytest.mark.parametrize("manifold", wasserstein_bound.MANIFOLDS)
def test_radial_distribution_of_the_data(manifold):
    space, area = wasserstein_bound.MANIFOLDS[manifold]
    distribution = wasserstein_bound.Radial(space, area)
    n = 4000
    kernel = rgen.heat_kernel(space)
    one = lambda key: kernel.sample(
        space.origin, jnp.array(wasserstein_bound.VARIANCE), key
    )
    x = jax.jit(jax.vmap(one))(jr.split(jr.key(0), n))
    radii = jax.vmap(lambda y: space.dist(space.origin, y))(x)
    # The distance of samples of the distribution itself is about its mean, and that of
    # samples that are moved by 0.1 is 0.1.
    assert distribution.distance(radii) < 3 * distribution.noise(n)
    assert distribution.distance(radii + 0.1) == pytest.approx(
        0.1, abs=3 * distribution.noise(n)
    )


@pytest.mark.slow
def test_the_target_itself_has_no_gap_and_the_mass_one():
    truth = rotations.target(16, jr.key(0))
    found = _quality.quality(truth, truth, rgen.Uniform(rotations.SO3), jr.key(1))
    assert found["gap"] == 0 and found["gap_error"] == 0
    # The weights 2 p / (p + u) are between 0 and 2, of mean one: of 8,192 the standard
    # error is below 1 / 90.
    assert found["mass"] == pytest.approx(1, abs=4 / 90)
    # Both are means of log p, of a standard deviation near 1.3, over 4,096 samples.
    difference = found["sample_log_likelihood"] - found["ceiling"]
    assert abs(difference) < 4 * 1.3 * (2 / 4096) ** 0.5
    # The entropy of apart components of the scale 0.0707 is known, and they overlap.
    apart = -3 * np.log(0.0707 * np.sqrt(2 * np.pi * np.e)) - np.log(16)
    assert apart - 0.1 < found["ceiling"] < apart + 0.2


class Scaled(rgen.AbstractDistribution):
    """A distribution whose density is wrong by a factor."""

    manifold: rgen.AbstractManifold
    distribution: rgen.AbstractDistribution
    factor: float

    def log_prob(self, x):
        return self.distribution.log_prob(x) + math.log(self.factor)

    def sample(self, key):
        return self.distribution.sample(key)


def test_quality_of_a_distribution_that_is_not_the_target():
    north, uniform = jnp.array([0.0, 0.0, 1.0]), rgen.Uniform(S2)
    fisher = lambda kappa: rgen.VonMisesFisher(north, kappa)
    found = _quality.quality(
        Scaled(S2, fisher(3.0), 0.9), fisher(5.0), uniform, jr.key(0)
    )
    # The density is c exp(kappa z), and the mean of z is the derivative of -log c.
    log_c = lambda kappa: math.log(kappa / (4 * math.pi * math.sinh(kappa)))
    height = lambda kappa: 1 / math.tanh(kappa) - 1 / kappa
    divergence = log_c(5) - log_c(3) + 2 * height(5)
    assert abs(found["gap"] - (divergence - math.log(0.9))) < 4 * found["gap_error"]
    # The standard deviation of z is below 0.5 in both distributions.
    error = 5 * 0.5 / 4096**0.5
    assert abs(found["ceiling"] - (log_c(5) + 5 * height(5))) < 4 * error
    of_samples = log_c(5) + 5 * height(3)
    assert abs(found["sample_log_likelihood"] - of_samples) < 4 * error
    # The weights 2 q / (p + u), of 8,192 samples, have this second moment.
    x, w = sphere_rule(60)
    p, q = (c * np.exp(k * (x[:, 2] - 1)) for c, k in ((peak(5), 5), (peak(3), 3)))
    second = np.sum(w * 2 * (0.9 * q) ** 2 / (p + 1 / (4 * np.pi)))
    assert abs(found["mass"] - 0.9) < 4 * ((second - 0.9**2) / 8192) ** 0.5


def peak(kappa):
    """The largest density of a von Mises-Fisher distribution."""
    return kappa / (2 * np.pi * (1 - np.exp(-2 * kappa)))


class WithoutDraws(rgen.AbstractDistribution):
    """A uniform distribution whose sampler gives up."""

    manifold: rgen.AbstractManifold

    def log_prob(self, x):
        return rgen.Uniform(self.manifold).log_prob(x)

    def sample(self, key):
        x = self.manifold.uniform(key)
        return eqx.error_if(x, jnp.array(True), "no more steps")


def test_likelihoods_are_not_lost_where_a_sampler_gives_up(capsys):
    truth = rgen.Uniform(earth.SPHERE)
    distribution = WithoutDraws(earth.SPHERE)
    found = _quality.quality(distribution, truth, truth, jr.key(0))
    assert found["gap"] == 0 and found["mass"] == 1
    assert found["sample_log_likelihood"] is None
    assert found["sample_evaluations"] is None
    x = jax.vmap(truth.sample)(jr.split(jr.key(0), 8))
    assert earth.sample_metrics(distribution, x, jr.key(0))["wasserstein"] is None
    assert "no more steps" in capsys.readouterr().err


# The committed lines are of a process that remembers 2 % at its end.
remembers = pytest.mark.filterwarnings("ignore:ScoreModel. at the end of its schedule")


@remembers
@pytest.mark.parametrize(
    "values, factor, best",
    [
        ([3.0, 1.0, 2.0, 0.0], 3, 1.0),
        ([1.0, 2.0, 0.0], 1, 1.0),
        ([math.nan, math.nan, 2.0, 1.0, 1.5], 30, 1.0),
    ],
)
def test_the_blur_is_the_last_that_gains(monkeypatch, values, factor, best):
    values = iter(values)
    monkeypatch.setattr(earth, "nll", lambda log_prob, x: next(values))
    process = rgen.Brownian(earth.SPHERE, rgen.LogUniformSchedule(1e-5, 4.0))
    score = lambda x, t: jnp.zeros(3)
    distribution, value = earth.best_noise_level(rgen.ScoreModel(score, process), None)
    assert earth.noise_level(distribution)["blur"] == pytest.approx(
        1e-5 * factor, rel=1e-2
    )
    assert value == best


@pytest.fixture
def two_places(monkeypatch):
    """A data set of two places on the sphere, in the stead of the volcanoes, with few
    samples, and few programs to compile: one candidate, one tolerance."""
    noise = 0.1 * jr.normal(jr.key(0), (120, 3))
    centres = jnp.eye(3)[jnp.arange(120) % 2]
    x = jax.vmap(earth.SPHERE.project)(centres + noise)
    monkeypatch.setitem(earth.DATASETS, "volcano", lambda: x)
    monkeypatch.setattr(earth, "NOISE_FACTORS", earth.NOISE_FACTORS[:1])
    monkeypatch.setattr(earth, "MOSER_FACTORS", earth.MOSER_FACTORS[:1])
    monkeypatch.setattr(earth, "CONTROLLER", earth.ROUGH)
    monkeypatch.setattr(_moser, "POINTS", 256)


@pytest.fixture
def without_samples(monkeypatch):
    """Spares compiling samplers that another cell samples with, or test_flows does."""
    monkeypatch.setattr(earth, "sample_metrics", lambda *args: {})


def lines_of(path, experiment, arguments):
    """The lines that a command writes; a second time, it finds all of them."""
    arguments = [*arguments.split(), "--output", str(path)]
    run(experiment, None, arguments)
    before = path.read_text()
    run(experiment, None, arguments)
    assert path.read_text() == before
    return read(path)


@remembers
@pytest.mark.usefixtures("two_places")
@pytest.mark.parametrize(
    "methods",
    [
        "kernel_mixture --protocol cells",
        *slow(["flow_matching", "rsgm --protocol distinct", "stereographic"]),
    ],
)
def test_a_cell_of_the_earth_is_one_command(methods, tmp_path):
    arguments = f"--dataset volcano --resolution 0.01 --steps 8 --method {methods}"
    (line,) = lines_of(tmp_path / "lines.jsonl", earth.EXPERIMENT, arguments)
    assert math.isfinite(line["test_nll"]) and math.isfinite(line["wasserstein"])


@pytest.mark.slow
@remembers
@pytest.mark.usefixtures("two_places", "without_samples")
@pytest.mark.parametrize("method", ["moser_flow", "rsgm_single", "normalizing_flow"])
def test_so_are_those_of_the_other_methods(method, tmp_path, monkeypatch):
    # The gradient of a likelihood, which is slow to compile, is tested in test_flows.
    monkeypatch.setattr(earth, "likelihood_loss", _losses.flow_matching_loss)
    arguments = f"--dataset volcano --resolution 0.01 --steps 8 --method {method}"
    (line,) = lines_of(tmp_path / "lines.jsonl", earth.EXPERIMENT, arguments)
    assert math.isfinite(line["test_nll"])


@pytest.mark.slow
def test_the_cells_of_the_torus_are_one_command(tmp_path, monkeypatch):
    for name, size in {"BATCH": 32, "TEST": 32}.items():
        monkeypatch.setattr(torus, name, size)
    monkeypatch.setattr(torus, "SIZE", {**torus.SIZE, "width": 16})
    monkeypatch.setattr(_moser, "POINTS", 256)
    arguments = "--dim 2 --method sliced hutchinson moser_flow --steps 8"
    lines = lines_of(tmp_path / "lines.jsonl", torus.EXPERIMENT, arguments)
    assert [line["method"] for line in lines] == ["sliced", "hutchinson", "moser_flow"]
    assert all(math.isfinite(line["nll_per_dim"]) for line in lines)


def traced(model, loss, sample_batch, key, **settings):
    """In the place of training: a step with its gradient is traced, and not run."""

    def step(model, key):
        return eqx.filter_value_and_grad(loss)(model, sample_batch(key), key)

    value, _ = eqx.filter_eval_shape(step, model, key)
    assert value.shape == ()
    eqx.filter_eval_shape(lambda model, key: model.sample(key), model, key)
    return _training.Trained(model, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", rotations.METHODS)
def test_methods_on_rotations_can_be_trained(method, monkeypatch):
    for module in (rotations, _exp_wrapped):
        monkeypatch.setattr(module, "train", traced)
    monkeypatch.setattr(rotations, "BATCH", 4)
    # What is left of a Moser flow's proposal is computed, and tested above.
    monkeypatch.setattr(rotations, "floored", lambda flow, proposal: flow)
    method, size = rotations.METHODS[method]
    truth = rotations.target(2, jr.key(0))
    model = method(truth, {**size, "width": 8}, 1, jr.key(1)).model
    assert model.manifold == truth.manifold


@pytest.mark.slow
@remembers
@pytest.mark.parametrize("method", hyperbolic.METHODS)
def test_methods_on_the_hyperbolic_plane_can_be_trained(method, monkeypatch):
    for module in (hyperbolic, _exp_wrapped):
        monkeypatch.setattr(module, "train", traced)
    monkeypatch.setattr(hyperbolic, "BATCH", 4)
    truth = hyperbolic.target()
    model = hyperbolic.METHODS[method](truth, 1, jr.key(0)).model
    assert model.manifold == truth.manifold


@pytest.mark.slow
@remembers
@pytest.mark.parametrize("method", passes_experiment.METHODS)
def test_methods_whose_passes_are_counted_can_be_trained(method):
    model, loss = passes_experiment.METHODS[method](jr.key(0))
    x = rgen.datasets.populated_places()
    traced(model, loss, _training.minibatches(x, 4), jr.key(1))
    eqx.filter_eval_shape(passes_experiment.density_of(model), x[0])


def test_the_likelihood_loss_is_minus_the_mean_log_density():
    distribution = rgen.VonMisesFisher(jnp.array([0.0, 0.0, 1.0]), 3.0)
    x = jax.vmap(S2.uniform)(jr.split(jr.key(0), 8))
    expected = -np.mean(jax.vmap(distribution.log_prob)(x))
    model = SimpleNamespace(log_prob=lambda x, key: distribution.log_prob(x))
    assert _losses.likelihood_loss(model, x, jr.key(0)) == pytest.approx(expected)


def test_the_moser_flow_is_the_one_that_validation_prefers(monkeypatch):
    """Of those at ten and at three times the variance; both trainings count."""
    models = [Mock(), Mock()]
    seen = []

    def train(data, validation, setting, key):
        seen.append(setting.resolution)
        return _training.Trained(models[len(seen) - 1], 1.0)

    values = iter([1.0, 0.5])
    monkeypatch.setattr(earth, "_moser_flow", train)
    monkeypatch.setattr(earth, "nll", lambda log_prob, x: next(values))
    setting = earth.default_setting("volcano", "legacy")
    trained = earth.moser_flow(None, None, setting, None)
    assert seen == [pytest.approx(1e-4), pytest.approx(3e-5)]
    assert trained.model is models[1]
    assert trained.seconds == 2


@pytest.mark.parametrize(
    "benchmark, arguments, message",
    [
        (earth, "--dataset fire --steps 0", "--steps: expected a whole number from 1"),
        (earth, "--dataset fire --seed 4294967296", r"--seed: .*below 2\^32, got 4294"),
        (
            earth,
            "--dataset fire --resolution 2",
            r"--resolution: expected it in \(0, 1",
        ),
        (torus, "--dim -1", "--dim: expected a whole number from 1 on, got -1"),
        (rotations, "--components few", "--components: .*, got few"),
    ],
)
def test_arguments_that_make_no_sense(benchmark, arguments, message, capsys):
    with pytest.raises(SystemExit):
        run(benchmark.EXPERIMENT, None, arguments.split())
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.usefixtures("optimised", "two_places", "without_samples")
def test_the_cell_of_the_mixture_of_kent_distributions(tmp_path, monkeypatch):
    monkeypatch.setattr(earth, "KENT_SIZES", (2,))
    arguments = "--dataset volcano --protocol cells --method kent_mixture"
    (line,) = lines_of(tmp_path / "lines.jsonl", earth.EXPERIMENT, arguments)
    assert math.isfinite(line["test_nll"])


@pytest.fixture
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(_lines, "RESULTS", tmp_path)

    def write(name, *lines):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)

    return write


def test_the_report_takes_one_line_for_each_case_of_the_default_settings(
    results_folder,
):
    line = {"method": "moser_flow", "steps": 1000}
    results_folder("passes", line)
    assert _lines.lines("passes") == [line]
    for second in ({"method": "rsgm", "steps": 10}, line):
        results_folder("passes", line, second)
        with pytest.raises(ValueError, match=r"passes\.jsonl, line 2: expected"):
            _lines.lines("passes")


def test_the_report_names_results_that_it_cannot_use(results_folder):
    with pytest.raises(ValueError, match=r"results .*torus\.jsonl, got no such file"):
        _lines.lines("torus")
    results_folder("torus")
    with pytest.raises(ValueError, match=r"torus\.jsonl: expected lines, got none"):
        _lines.lines("torus")
    line = {"method": "sliced", "dim": 1, "seed": 0, "steps": 6000, "step_ms": "1"}
    results_folder("torus", line)
    numbers = r"line 1: expected numbers in \['nll_per_dim', 'gap_error', 'step_ms'\]"
    with pytest.raises(ValueError, match=numbers):
        _lines.lines("torus")
    line = {"method": "rsgm", "dataset": "volcanoes", "protocol": "legacy", "seed": 0}
    results_folder("earth", line)
    with pytest.raises(ValueError, match=r"earth\.jsonl, line 1: .*'volcanoes'"):
        _lines.lines("earth")
    with pytest.raises(ValueError, match=r"out of .*, got \{'rsgmm'\}"):
        _tables.methods_in({("rsgmm",): [line]})


def test_intervals_and_slopes_of_the_report():
    # Student's quantile for two degrees of freedom is 4.303.
    assert _tables.interval([1.0, 2.0, 3.0]) == "2.00 ± 2.48 (3)"
    assert _tables.interval([1.0]) == "1.00 (1)"
    assert _tables.interval([-0.001]) == "0.00 (1)"
    assert _tables.interval([]) == ""
    group = [{"w1": 0.1 * 2.0**k, "noise": 0.01, "x": k} for k in range(-3, 4)]
    # The first two are in the noise.
    group[0]["w1"] = 1.0e-3
    x = lambda line: line["x"] * np.log(2)
    assert _bound.slope(group, x, 0.0) == "1.00"
    assert _bound.slope(group[:2], x, 0.0) == ""
    # Two are above this floor.
    assert _bound.slope(group, x, 0.3) == ""


def test_rsgm_is_compared_with_the_others_on_the_same_splits():
    line = lambda seed, nll: {"seed": seed, "test_nll": nll}
    own = {
        ("rsgm", "fire"): [line(0, -1.0), line(2, -3.0)],
        ("kernel_mixture", "fire"): [line(2, -2.5), line(1, 7.0)],
    }
    assert _earth.differences(own, "kernel_mixture", "fire") == [-0.5]
    assert _earth.differences(own, "kernel_mixture", "flood") == []


# Side chains given the backbone


def helix_and_sheet(key, n, dim):
    """Side chains of two backbones, each with a rotamer of its own."""
    which_key, c_key, x_key = jr.split(key, 3)
    sheet = jr.bernoulli(which_key, shape=(n, 1))
    c = jnp.where(sheet, jnp.array([-2.1, 2.3]), jnp.array([-1.1, -0.8]))
    x = jnp.where(sheet, 1.0, -1.2) * jnp.ones(dim)
    noise = lambda key, like: 0.2 * jr.normal(key, like.shape)
    return side_chains.Part(x + noise(x_key, x), c + noise(c_key, c))


def circle_rule(n):
    """The points of a quadrature on the circle, and their weight."""
    return jnp.linspace(-jnp.pi, jnp.pi, n, endpoint=False)[:, None], 2 * np.pi / n


def kernels_on(part):
    """The mixture of two kernels of equal variances for backbone and side chain."""
    log_weights = jnp.log(jnp.array([[0.3, 0.0], [0.0, 0.7]]))
    variances = jnp.array([0.03, 0.2])
    torus = rgen.Torus(part.x.shape[1])
    return _conditional.KernelConditional(
        torus, part, (variances, variances), log_weights
    )


def test_the_conditional_kernel_mixture_is_the_joint_one_over_its_marginal():
    key, test_key = jr.split(jr.key(0))
    part, test = (helix_and_sheet(k, n, 2) for k, n in ((key, 300), (test_key, 40)))
    model = kernels_on(part)
    found = rgen.log_prob(model, test.x, given=test.c)

    def mixture(points):
        kernel = rgen.heat_kernel(rgen.Torus(points.shape[1]))
        log_weights = jnp.log(jnp.array([0.3, 0.7]))
        return rgen.KernelMixture(kernel, points, model.variances[0], log_weights)

    pairs = lambda part: jnp.concatenate([part.c, part.x], axis=1)
    joint = rgen.log_prob(mixture(pairs(part)), pairs(test))
    marginal = rgen.log_prob(mixture(part.c), test.c)
    # Float32 rounds sums of 300 terms.
    np.testing.assert_allclose(found, joint - marginal, atol=1e-4)


@pytest.mark.slow
def test_the_conditional_kernel_mixture_samples_what_it_says():
    model = kernels_on(helix_and_sheet(jr.key(0), 300, 1)).given(jnp.array([-2.0, 2.0]))
    angle, weight = circle_rule(400)
    density = np.exp(np.asarray(jax.vmap(model.log_prob)(angle), float)) * weight
    # A rule of equal weights is exact for smooth periodic functions.
    assert density.sum() == pytest.approx(1, abs=1e-4)
    n = 4000
    found = np.cos(np.asarray(rgen.sample(model, jr.key(1), n), float))
    expected = np.sum(density * np.cos(np.asarray(angle[:, 0], float)))
    # Four standard errors.
    assert abs(found.mean() - expected) < 4 * found.std() / n**0.5


@pytest.mark.slow
def test_the_weights_of_kernels_maximise_the_conditional_likelihood():
    train, validation, test = (
        helix_and_sheet(key, n, 1)
        for key, n in zip(jr.split(jr.key(0), 3), (400, 200, 200), strict=True)
    )
    model = _conditional.conditional_kernel_mixture(train, validation, 0.01).model
    equal = eqx.tree_at(lambda m: m.log_weights, model, 0 * model.log_weights)
    nll = side_chains.conditional_nll
    assert nll(model, validation) < nll(equal, validation) - 0.1
    # The entropy of a normal of the scale 0.2, and what 400 kernels miss of it.
    entropy = np.log(0.2 * np.sqrt(2 * np.pi * np.e))
    assert entropy - 0.15 < nll(model, test) < entropy + 0.2


WELLS = {"T1": (3,), "T2": (3, 12)}


@pytest.fixture(scope="module")
def libraries():
    fitted = {}
    for name, wells in WELLS.items():
        part = helix_and_sheet(jr.key(0), 400, len(wells))
        counts = _rotamers.Counts(*part, wells)
        library = counts.library(10.0, 2.0, 1e-3)
        fitted[name] = eqx.tree_at(lambda m: m.floor, library, jnp.array(0.02))
    return fitted


# The backbone of a helix, and one that no residue has.
@pytest.mark.parametrize("c", [(-1.1, -0.8), (3.0, -3.0)])
@pytest.mark.parametrize("name", WELLS)
def test_the_density_of_a_rotamer_library_integrates_to_one(libraries, name, c):
    model = libraries[name].given(jnp.array(c))
    x, weight = circle_rule(600) if name == "T1" else torus_rule(200)
    density = np.exp(np.asarray(rgen.log_prob(model, x), float))
    # Equal weights are exact for smooth periodic functions, and the narrowest rotamer
    # is wider than a point's distance to the next. Float32 rounds 1e-7 of each.
    assert np.sum(density * weight) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_a_rotamer_library_samples_what_it_says(libraries):
    model = libraries["T1"].given(jnp.array([-1.1, -0.8]))
    x, weight = circle_rule(600)
    density = np.exp(np.asarray(rgen.log_prob(model, x), float)) * weight
    n = 4000
    found = np.cos(np.asarray(rgen.sample(model, jr.key(1), n), float))
    expected = np.sum(density * np.cos(np.asarray(x[:, 0], float)))
    # Four standard errors.
    assert abs(found.mean() - expected) < 4 * found.std() / n**0.5


def test_a_rotamer_library_is_recovered_from_its_samples():
    # In the bin of the helix 70 % of one rotamer, in that of the sheet 80 % of another.
    n, mean, scale = 8000, np.array([1.1, -1.2]), np.array([0.15, 0.25])
    share = {(-1.13, -0.78): 0.7, (-2.18, 2.35): 0.2}
    rng = np.random.default_rng(0)
    c = np.repeat(np.array(list(share)), n, axis=0)
    second = rng.random(2 * n) > np.repeat(list(share.values()), n)
    x = np.where(second, *(mean[i] + scale[i] * rng.normal(size=2 * n) for i in (1, 0)))
    part = side_chains.Part(jnp.asarray(x[:, None]), jnp.asarray(c))
    library = _rotamers.Counts(*part, (3,)).library(3.0, 0.5, 1e-3)
    # Of the wells from 0 to 120 degrees, and from 240 degrees.
    rotamers = np.array([0, 2])
    for backbone, first in share.items():
        b = _rotamers.bin_of(jnp.array(backbone))
        # Four standard errors of a share, and of a mean and a variance of at least
        # a fifth of the residues.
        weights = np.exp(library.log_weights[b][rotamers])
        np.testing.assert_allclose(weights, [first, 1 - first], atol=0.021)
        means = library.means[b][rotamers][:, 0]
        np.testing.assert_allclose(means, mean, atol=4 * 0.25 / (0.2 * n) ** 0.5)
        variances = library.variances[b][rotamers][:, 0]
        np.testing.assert_allclose(
            variances, scale**2, rtol=4 * (2 / (0.2 * n)) ** 0.5 + 1e-2
        )


def test_bins_and_wells_are_counted_from_zero_on():
    degrees = lambda *values: jnp.deg2rad(jnp.array(values))
    assert _rotamers.bin_of(degrees(5.0, 15.0)) == 1
    assert _rotamers.bin_of(degrees(-175.0, -5.0)) == 18 * 36 + 35
    x = np.deg2rad([[60.0, 5.0], [-60.0, -5.0]])
    np.testing.assert_array_equal(_rotamers.well_of(x, (3, 12)), [0, 35])


def test_recovery_counts_residues_near_the_mode_of_their_samples():
    # Two thirds of the samples are near 1, the others near -2.
    centre = jnp.where(jnp.arange(60) % 3 < 2, 1.0, -2.0)[:, None]
    samples = centre + 0.1 * jr.normal(jr.key(0), (3, 60, 2))
    x = jnp.array([[1.1, 1.0], [1.0, 2.0], [-2.0, -2.0]])
    assert side_chains.recovery(samples, x, 1) == pytest.approx(2 / 3, abs=1e-4)
    assert side_chains.recovery(samples, x, 2) == pytest.approx(1 / 3, abs=1e-4)
    assert side_chains.recovery(samples, x, 3) is None


def test_calibration_is_small_for_the_distribution_of_the_residues_alone():
    keys = jr.split(jr.key(0), 3)
    samples = jr.uniform(keys[0], (500, 40, 1), maxval=6.0)
    x = jr.uniform(keys[1], (500, 1), maxval=6.0)
    # The quantile at the level 1e-4 of Kolmogorov's distribution.
    assert side_chains.calibration(samples, x, keys[2]) < 2.23 / 500**0.5
    # Ranks of a half of the samples are uniform on a half of the interval.
    wrong = side_chains.calibration(samples, x / 2, keys[2])
    assert wrong == pytest.approx(0.5, abs=2.23 / 500**0.5)


@pytest.fixture
def few_histidines(monkeypatch):
    part = helix_and_sheet(jr.key(0), 300, 2)
    angles = jnp.concatenate([part.c, part.x], axis=1)
    load = lambda: rgen.datasets.SideChains(angles, jnp.arange(300) % 60)
    setting = dict(width=8, steps=8, backbone_noise=0.03)
    his = side_chains.RESIDUES["his"]._replace(load=load, setting=setting, members=2)
    monkeypatch.setitem(side_chains.RESIDUES, "his", his)
    for name in ("VALIDATION", "SELECTION", "TEST", "SAMPLES", "SAMPLER_STEPS"):
        monkeypatch.setattr(side_chains, name, 8)
    monkeypatch.setattr(side_chains, "BATCH", 16)


@pytest.mark.usefixtures("few_histidines")
@pytest.mark.parametrize(
    "method", ["kernel_mixture", *slow(["rsgm", "unconditional", "rotamer_library"])]
)
def test_a_cell_of_the_side_chains_is_one_command(method, tmp_path):
    arguments = f"--residue his --method {method}"
    path = tmp_path / "lines.jsonl"
    (line,) = lines_of(path, side_chains.EXPERIMENT, arguments)
    assert math.isfinite(line["conditional_nll"]) and line["points"] == 8
    assert 0 <= line["chi12_recovery"] <= line["chi1_recovery"] <= 1


def test_whole_chains_are_in_one_part(few_histidines):
    parts = side_chains.split("his", jr.key(0))
    assert [len(part.x) for part in parts] == [240, 8, 8]


@pytest.fixture
def few_trained_steps(monkeypatch):
    sizes = dict(TEACHER_STEPS=4, MAP_STEPS=4, BATCH=8, PERMUTATIONS=19, REPEATS=2)
    sizes |= dict(
        REGRESSION_STEPS=4, ROTATIONS_TEACHER_STEPS=4, TORUS_TEACHER_STEPS=4, TEST=16
    )
    sizes |= dict(TORUS_TEST=16, DENSITIES=20, MIDDLE_POINTS=8, EXPERTS=2)
    sizes |= dict(TRAJECTORIES=16, TRAJECTORY_STEPS=4, TRAJECTORY_BLOCK=8)
    monkeypatch.setattr(few_steps, "MIDDLES", (0.25, 0.5))
    for name, value in sizes.items():
        monkeypatch.setattr(few_steps, name, value)
    monkeypatch.setattr(map_losses, "STEPS", 4)
    monkeypatch.setattr(map_losses, "POINTS", 8)
    trainings = few_steps.teacher, few_steps.flow_map, few_steps.middle_time
    remembered = few_steps.data_of, solver_errors.noise_and_ends, *trainings
    for each in remembered:
        each.cache_clear()
    yield
    for each in remembered:
        each.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("few_trained_steps")
@pytest.mark.parametrize(
    ("method", "case"),
    [
        ("map", "rotations_16"),
        ("consistency", "torus_2"),
        ("map_self_distilled", "side_chains"),
        ("churn", "side_chains"),
        ("multistep", "torus_8"),
    ],
)
def test_a_cell_of_the_few_steps_is_one_command(method, case, tmp_path, monkeypatch):
    own = few_steps.METHODS[method]._replace(
        evaluations=(4, 2), further=(), repeated=(2,)
    )
    monkeypatch.setitem(few_steps.METHODS, method, own)
    arguments = f"--method {method} --case {case}"
    lines = lines_of(tmp_path / "lines.jsonl", few_steps.EXPERIMENT, arguments)
    assert [(line["nfe"], line["evaluations"]) for line in lines] == [(2, 2), (4, 4)]
    assert all(0.05 <= line["p_value"] <= 1 for line in lines)
    assert ("log_density" in lines[0]) == (case != "side_chains")
    assert lines[0]["rejected"] in (0, 0.5, 1) and "rejected" not in lines[1]
    middles = {line.get("middle") for line in lines}
    solver = method in ("churn", "multistep")
    assert middles == {None} if solver else middles < set(few_steps.MIDDLES)


def test_pairs_of_points_of_trajectories(monkeypatch):
    monkeypatch.setattr(few_steps, "TRAJECTORY_STEPS", 4)
    # Each with a number of its own, at the times that the points say.
    own, times = jnp.arange(64.0)[:, None, None], jnp.linspace(0, 1, 5) ** 2
    at_times = jnp.stack(jnp.broadcast_arrays(own, times[:, None]), axis=-1)
    x, y, s, t = few_steps.pairs(at_times, times, jr.key(0))
    np.testing.assert_array_equal(x[:, 0, 0], y[:, 0, 0])
    np.testing.assert_array_equal(x[:, 0, 1], s)
    np.testing.assert_array_equal(y[:, 0, 1], t)
    assert (s < t).all() and len(set(x[:, 0, 0].tolist())) == 64
    # Half of them, and of the others one in four or more.
    assert 0.5 < jnp.mean(s == 0) < 0.8 and 0.5 < jnp.mean(t == 1) < 0.8


@pytest.mark.usefixtures("few_trained_steps")
def test_trajectories_lead_where_the_sampler_does(monkeypatch):
    process, *_ = few_steps.CASES["torus_2"]()
    score = lambda x, t: -jnp.sin(x) / (1 + process.schedule.variance(t))
    model = rgen.ScoreModel(score, process, rgen.FewSteps(4))
    trained = _training.Trained(model, 0.0, None)
    monkeypatch.setattr(few_steps, "teacher", lambda *_: trained)
    found, times = few_steps.trajectories("torus_2", 0)
    keys = jr.split(jr.fold_in(jr.key(0), 6), 16)
    starts = jax.vmap(process.prior.sample)(keys)
    np.testing.assert_allclose(found[:, 0], starts, atol=1e-6)
    lead = lambda x: model.sampler(score, process, x, jr.key(0))[0]
    # Two programs for the same sums.
    apart = jax.vmap(process.manifold.dist)(found[:, -1], jax.vmap(lead)(starts))
    assert found.shape == (16, 5, 2) and jnp.max(apart) < 1e-5
    own, schedule = rgen.PowerGrid()(process, 4), process.schedule
    of_process = schedule.t1 + times * (schedule.t0 - schedule.t1)
    np.testing.assert_allclose(of_process, own, rtol=1e-6)
    assert times[0] == 0 and times[-1] == 1


def test_as_many_trajectories_as_there_is_memory_for():
    count = few_steps.number_of_trajectories
    assert count(rgen.SpecialOrthogonal(3)) == count(rgen.Torus(2)) == 2**20
    many = count(rgen.Torus(128))
    assert many % 2**12 == 0 and 0.98 * 2**30 < many * 33 * 128 <= 2**30


@pytest.mark.usefixtures("few_trained_steps")
def test_ideal_samples_are_other_points_each_once():
    x, evaluations = few_steps.ideal("torus_8", 0, 0, jr.key(0), 16)
    _, test, other, _ = few_steps.data_of("torus_8", 0)
    # The noise is 0.01 an angle, and points are 0.6 and more apart.
    apart = jax.vmap(jax.vmap(rgen.Torus(8).dist, (None, 0)), (0, None))
    nearest, far = jnp.argmin(apart(x, other), axis=1), jnp.min(apart(x, test))
    assert len(set(nearest.tolist())) == len(x) and evaluations == 0
    assert jnp.max(jnp.min(apart(x, other), axis=1)) < 0.1 < far


def test_times_are_halved_on_both_sides_of_the_middle():
    assert few_steps.halved(0.2, 1) == (0, 1)
    assert few_steps.halved(0.25, 4) == (0, 0.125, 0.25, 0.625, 1)


def straight_then_turned(x, s, t):
    """Of a flow at rest until 1/4, and then by an angle that grows: the mean velocity,
    but for a step that starts before and ends after."""
    turned = lambda t: jnp.maximum(t - 0.25, 0)
    across = (s < 0.25) & (t > 0.25)
    moved = jnp.where(across, 3.0, turned(t) - turned(s))
    return jnp.full_like(x, 1) * moved / jnp.where(t == s, 1, t - s)


def test_the_middle_is_where_two_steps_end_as_the_flow_does(monkeypatch):
    trained = _training.Trained(straight_then_turned, 0.0, None)
    monkeypatch.setattr(few_steps, "flow_map", lambda *_: trained)
    project = jax.vmap(rgen.Torus(2).project)
    monkeypatch.setattr(few_steps, "ends", lambda *args: project(args[2] + 0.75))
    few_steps.middle_time.cache_clear()
    assert few_steps.middle_time(True, "torus_2", 0) == 0.25
    few_steps.middle_time.cache_clear()


def test_solvers_are_compared_over_whole_curves_in_some_cases():
    numbers = functools.partial(few_steps.numbers, "munthe_kaas", seed=0)
    assert numbers(case="fire") == [(10,), (100,)]
    assert numbers(case="flood") == [(n,) for n in (4, 8, 10, 16, 32, 64, 100)]


@pytest.mark.slow
@pytest.mark.usefixtures("few_trained_steps")
def test_a_cell_of_the_errors_of_solvers_is_one_command(tmp_path, monkeypatch):
    monkeypatch.setattr(solver_errors, "POINTS", 16)
    monkeypatch.setattr(solver_errors, "EVALUATIONS", (6, 30))
    arguments = "--case rotations_16 --solver geodesic_heun"
    lines = lines_of(tmp_path / "lines.jsonl", solver_errors.EXPERIMENT, arguments)
    each = {(line["grid"], line["nfe"]): line["distance"] for line in lines}
    assert set(each) == {("log", 6), ("log", 30), ("power", 6), ("power", 30)}
    # Of any smooth field.
    assert all(0 < each[grid, 30] < each[grid, 6] for grid in ("log", "power"))
    assert each["log", 6] != each["power", 6]


@pytest.mark.slow
@pytest.mark.usefixtures("few_trained_steps")
@pytest.mark.parametrize("loss", map_losses.LOSSES)
def test_a_cell_of_the_losses_of_maps_is_one_command(loss, tmp_path):
    arguments = f"--case torus_2 --loss {loss}"
    (line,) = lines_of(tmp_path / "lines.jsonl", map_losses.EXPERIMENT, arguments)
    # Angles of a torus are no further apart than half of its diagonal.
    assert all(0 < line[k] < 4.45 for k in ("distance", "median", "two_steps"))
