import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import sphere_rule

import rgen
from benchmarks import report, wasserstein_bound
from benchmarks._evaluations import density_evaluations, sample_evaluations
from benchmarks._moser import log_density, negative_mass
from benchmarks._passes import Counted, passes
from benchmarks._results import Results, read
from benchmarks._training import train


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
    ],
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, damage):
    path = tmp_path / "lines.jsonl"
    before = '{"method": "a", "seed": 0}\n' + damage
    path.write_text(before)
    with pytest.raises(ValueError, match=r"lines\.jsonl, line 2: expected"):
        results(path)
    assert path.read_text() == before


def test_the_page_of_results_is_that_of_the_results():
    written = report.PAGE.read_text("utf-8")
    assert written == report.page(), "run: python -m benchmarks.report"


def test_every_file_of_results_is_whole():
    for path in report.RESULTS.iterdir():
        assert read(path), path


class Number(eqx.Module):
    """A model of one parameter, whose loss is least at 3."""

    value: jax.Array
    other: jax.Array

    def loss(self, x, key):
        return jnp.mean((self.value - x) ** 2)


def trained(**kwargs):
    model = Number(jnp.array(0.0), jnp.array(5.0))
    draw = eqx.Partial(lambda key, at: at + jr.normal(key, (8,)), at=jnp.array(3.0))
    return train(model, Number.loss, draw, jr.key(0), rate=0.1, **kwargs).model


def test_training_averages_what_it_fits_and_leaves_the_rest_alone():
    model = trained(steps=400, decay=0.05)
    # The mean of a few dozen iterates, each of which follows batches of eight.
    assert model.value == pytest.approx(3, abs=0.3)
    assert model.other == 5


def test_training_selects_the_best_of_eight():
    seen = []

    def evaluate(model):
        seen.append(float(model.value))
        return abs(model.value - 1.0)

    best = float(trained(steps=80, evaluate=evaluate).value)
    assert len(seen) == 8
    assert best == min(seen, key=lambda value: abs(value - 1))
    assert best != seen[-1]


def test_training_without_a_finite_evaluation_ends_in_an_error():
    with pytest.raises(FloatingPointError, match="finite NLL"):
        trained(steps=8, evaluate=lambda model: float("nan"))


S2 = rgen.Sphere(2)
PROCESS = rgen.Brownian(S2, rgen.LogUniformSchedule(1e-2, 4.0))


def counted_field():
    size = dict(width=8, depth=2, frequencies=4)
    field = rgen.nn.ScoreField(PROCESS, key=jr.key(0), **size)
    return eqx.tree_at(lambda f: f.network, field, Counted(field.network))


def counts(forward=0, tangent=0, reverse=0):
    return dict(forward=forward, tangent=tangent, reverse=reverse)


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
    # Each tangent pass goes back by itself, and as a function of the point.
    assert gradient(rgen.losses.implicit) == counts(2, tangent=2, reverse=4)


def test_passes_are_those_that_a_law_reports():
    field = counted_field()
    law = rgen.ScoreModel(field, PROCESS, sampler=rgen.ReverseSDE(steps=20))
    _, evaluations = eqx.filter_jit(law.log_prob_evaluations)(S2.origin)
    found = passes(eqx.filter_jit(law.log_prob), S2.origin)
    # The field is evaluated, and once more with its two derivatives.
    assert found == counts(2 * evaluations, tangent=2 * evaluations)
    assert eqx.filter_jit(density_evaluations)(law, S2.origin) == evaluations
    assert passes(eqx.filter_jit(law.sample), jr.key(0)) == counts(20)
    assert sample_evaluations(law, jr.key(0)) == 20


def test_the_positive_part_of_a_moser_flow_is_normalised():
    # Of the ratio 1 + 6 z, for the divergence of grad(3 z) is -6 z.
    field = lambda x, t: S2.to_tangent(x, jnp.array([0.0, 0.0, 3.0]))
    law = rgen.baselines.MoserFlow(S2, field)
    x, w = sphere_rule(200)
    density = jax.vmap(log_density(law))(jnp.asarray(x, jnp.float32))
    # The mean of max(1 + 6 z, 0) for z uniform on [-1, 1] is 49 / 24. 16,384 points
    # find it to within 2 %, at four standard errors.
    assert np.sum(w * np.exp(density)) == pytest.approx(1, rel=0.05)
    assert negative_mass(law)["negative_mass"] == pytest.approx(25 / 24, rel=0.05)
    positive = x[:, 2] > 0
    top = np.log((1 + 6 * x[positive, 2]) * 24 / 49 / (4 * np.pi))
    np.testing.assert_allclose(density[positive], top, atol=0.05)


@pytest.mark.parametrize("manifold", wasserstein_bound.MANIFOLDS)
def test_radial_law_of_the_data(manifold):
    space, area = wasserstein_bound.MANIFOLDS[manifold]
    law = wasserstein_bound.Radial(space, area)
    n = 4000
    kernel = rgen.heat_kernel(space)
    one = lambda key: kernel.sample(
        space.origin, jnp.array(wasserstein_bound.VARIANCE), key
    )
    x = jax.jit(jax.vmap(one))(jr.split(jr.key(0), n))
    radii = jax.vmap(lambda y: space.dist(space.origin, y))(x)
    # The distance of draws of the law itself is about its mean, and that of draws that
    # are moved by 0.1 is 0.1.
    assert law.distance(radii) < 3 * law.noise(n)
    assert law.distance(radii + 0.1) == pytest.approx(0.1, abs=3 * law.noise(n))
