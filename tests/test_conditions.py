"""Fields and models that depend on a condition, and classifier-free guidance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import rgen


S2, T1, T2 = rgen.Sphere(2), rgen.Torus(1), rgen.Torus(2)
CIRCLE = rgen.Brownian(T1, rgen.LogUniformSchedule(0.01, 40.0))


def conditional(process, condition, embedding, key=None, **size):
    key = jr.key(0) if key is None else key
    sizes = dict(width=16, depth=2, frequencies=8) | size
    return rgen.nn.ScoreField(
        process, embedding=embedding, condition=condition, key=key, **sizes
    )


class Located(eqx.Module):
    """The score of a wrapped normal on the circle, of which the condition is the
    mean."""

    variance: float = 0.1

    def __call__(self, x, t, c):
        v = self.variance + CIRCLE.schedule.variance(t)
        return rgen.heat_kernel(T1).score(c, x, v)


def exact_log_prob(x, c):
    v = 0.1 + CIRCLE.schedule.variance(jnp.array(0.0))
    return rgen.heat_kernel(T1).log_prob(c, x, v)


MODEL = rgen.ScoreModel(Located(), CIRCLE)


def test_the_density_given_a_condition_is_that_of_the_data():
    x = jnp.linspace(-3.0, 3.0, 9)[:, None]
    c = jnp.array([0.7])
    found = rgen.log_prob(MODEL.given(c), x)
    expected = jax.vmap(exact_log_prob, (0, None))(x, c)
    # The tolerance of the solver, times some dozens of steps.
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_one_condition_for_each_point():
    x, c = (jr.uniform(key, (9, 1)) for key in jr.split(jr.key(0)))
    found = rgen.log_prob(MODEL, x, given=c)
    apart = [rgen.log_prob(MODEL.given(c[i]), x[i : i + 1])[0] for i in range(9)]
    # Rounding may change an adaptive step, and the result by the solver's tolerance.
    np.testing.assert_allclose(found, jnp.stack(apart), atol=1e-3)
    in_chunks = rgen.log_prob(MODEL, x, given=c, chunk_size=4)
    np.testing.assert_allclose(found, in_chunks, atol=1e-3)


def test_derivatives_in_conditions_do_not_depend_on_the_chunks():
    model = rgen.ScoreModel(Located(), CIRCLE, rgen.FewSteps(4))
    c = jnp.linspace(-1.0, 1.0, 40)[:, None]

    def total(c, **chunks):
        return jnp.sum(jnp.sin(rgen.sample(model, jr.key(0), 40, given=c, **chunks)))

    whole = jax.grad(total)(c)
    assert jnp.max(jnp.abs(whole)) > 0.1
    # Rounding.
    parts = jax.grad(lambda c: total(c, chunk_size=16))(c)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_samples_follow_their_conditions():
    n = 2000
    c = jnp.linspace(-3.0, 3.0, n)[:, None]
    x = rgen.sample(MODEL, jr.key(1), n, given=c)
    # The circular mean of a wrapped normal of variance v about its centre is e^{-v/2}.
    found = np.asarray(jnp.cos(x - c)[:, 0], np.float64)
    v = 0.1 + 0.01
    error = found.std() / np.sqrt(n)
    # Four standard errors, and what is left of the last step's noise.
    assert abs(found.mean() - np.exp(-v / 2)) < 4 * error + 5e-3
    sine = np.asarray(jnp.sin(x - c)[:, 0], np.float64)
    assert abs(sine.mean()) < 4 * sine.std() / np.sqrt(n)


class Traced(eqx.Module):
    seen: list = eqx.field(static=True, default_factory=list)

    def __call__(self, x, t, c):
        self.seen.append(None)
        return jnp.zeros_like(x)

    def __hash__(self):
        return id(self)


def test_another_condition_compiles_nothing_again():
    score = Traced()
    model = rgen.ScoreModel(score, CIRCLE)
    rgen.sample(model.given(0.5), jr.key(0), 4)
    count = len(score.seen)
    assert count > 0
    rgen.sample(model.given(0.7), jr.key(0), 4)
    rgen.sample(model.given(jnp.array(2.0)), jr.key(0), 4)
    assert len(score.seen) == count


def test_a_flow_is_conditional_too():
    field = lambda x, t, c: c
    flow = rgen.Flow(rgen.Uniform(T1), field)
    keys = jr.key(0), 6
    still = rgen.sample(flow.given(jnp.zeros(1)), *keys)
    moved = rgen.sample(flow, *keys, given=jnp.full((6, 1), 0.5))
    np.testing.assert_allclose(T1.dist(still[0], moved[0]), 0.5, atol=1e-4)


# Neural fields

EMBEDDINGS = {
    "a point of another manifold": (rgen.nn.PointFeatures(T2), jnp.zeros(2)),
    "a class": (eqx.nn.Embedding(3, 4, key=jr.key(0)), jnp.array(1)),
    "a pytree": (lambda c: jnp.append(c["a"], c["b"]), dict(a=jnp.ones(2), b=0.0)),
}


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("kind", [rgen.nn.ScoreField, rgen.nn.FlowField])
def test_fields_take_a_condition(name, kind):
    embedding, c = EMBEDDINGS[name]
    on = rgen.Brownian(S2) if kind is rgen.nn.ScoreField else S2
    field = kind(
        on, width=8, depth=2, frequencies=4, embedding=embedding, condition=c,
        key=jr.key(0),
    )  # fmt: skip
    x, t = S2.origin, jnp.array(0.3)
    value = field.given(c)(x, t)
    assert value.shape == x.shape
    np.testing.assert_array_equal(value, field(x, t, c))


def moved(field):
    """With a random last layer: a new field is zero."""
    weight = field.field.network.last.weight
    where = lambda f: f.field.network.last.weight
    return eqx.tree_at(where, field, jr.normal(jr.key(3), weight.shape))


def test_the_condition_matters_and_the_embedding_is_trained():
    network = eqx.nn.MLP(2, 4, 8, 1, key=jr.key(1))
    score = moved(conditional(CIRCLE, jnp.zeros(2), network))
    x, t = T1.origin, jnp.array(0.3)
    one, other = (score.given(c)(x, t) for c in (jnp.zeros(2), jnp.ones(2)))
    assert abs(one - other)[0] > 1e-3
    total = lambda score: jnp.sum(score.given(jnp.ones(2))(x, t))
    slopes = eqx.filter_grad(total)(score).field.embedding
    assert any(jnp.any(leaf != 0) for leaf in jax.tree.leaves(slopes))


def test_an_ensemble_takes_a_condition():
    make = lambda key: conditional(CIRCLE, jnp.zeros(1), lambda c: c, key)
    members = eqx.filter_vmap(make)(jr.split(jr.key(0), 3))
    score = rgen.nn.Ensemble(members)
    assert score.given(jnp.ones(1))(T1.origin, jnp.array(0.3)).shape == (1,)


@pytest.mark.parametrize(
    ("c", "message"),
    [(jnp.zeros(3), r"\(2,\), got one of the shape \(3,\)"), (None, "without arrays")],
)
def test_a_condition_of_another_shape_is_refused(c, message):
    score = conditional(CIRCLE, jnp.zeros(2), lambda c: c)
    with pytest.raises(ValueError, match=message):
        score(T1.origin, jnp.array(0.3), c)


def test_a_field_without_a_condition_refuses_one():
    score = conditional(CIRCLE, None, None)
    with pytest.raises(ValueError, match="expected a condition without arrays"):
        score.given(jnp.zeros(2))(T1.origin, jnp.array(0.3))


def test_an_embedding_and_its_condition_come_together():
    with pytest.raises(ValueError, match="together"):
        conditional(CIRCLE, jnp.zeros(2), None)
    with pytest.raises(ValueError, match=r"jnp\.ravel"):
        conditional(CIRCLE, jnp.zeros((2, 2)), lambda c: c)
    # What the message says.
    conditional(CIRCLE, jnp.zeros((2, 2)), jnp.ravel)


def test_conditions_are_as_many_as_points():
    x = jnp.zeros((4, 1))
    with pytest.raises(ValueError, match="one condition for each point"):
        rgen.log_prob(MODEL, x, given=jnp.zeros((3, 1)))
    with pytest.raises(ValueError, match="takes no condition"):
        rgen.log_prob(rgen.Uniform(T1), x, given=x)


# Dropped conditions


def test_drop_drops_with_its_probability():
    c = jnp.arange(3.0)
    n = 4000
    dropped = jax.vmap(lambda key: rgen.nn.drop(key, c, 0.25))
    value, present = dropped(jr.split(jr.key(0), n))
    np.testing.assert_array_equal(value[0], c)
    # Four standard errors of a share.
    assert abs(present.mean() - 0.75) < 4 * np.sqrt(0.25 * 0.75 / n)
    with pytest.raises(ValueError, match="between 0 and 1"):
        rgen.nn.drop(jr.key(0), c, 1.5)


def test_what_is_dropped_plays_no_role():
    embedding = rgen.nn.Droppable(lambda c: c, jnp.zeros(2))
    pair = (jnp.zeros(2), jnp.array(True))
    score = moved(conditional(CIRCLE, pair, embedding))
    at = lambda c, present: score.given((c, present))(T1.origin, jnp.array(0.3))
    absent = [at(jnp.full(2, value), False) for value in (1.0, 2.0)]
    np.testing.assert_array_equal(*absent)
    present = [at(jnp.full(2, value), True) for value in (1.0, 2.0)]
    assert abs(present[0] - present[1])[0] > 1e-4


# Guidance


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0, lambda t: 3 * (t < 2)])
def test_guidance_combines_the_two_scores(weight):
    c = jnp.array([0.4])
    one, other = rgen.Given(Located(), c), rgen.Given(Located(1.0), c)
    guided = rgen.ClassifierFreeGuidance(one, other, weight)
    x, t = jnp.array([1.0]), jnp.array(0.3)
    w = weight(t) if callable(weight) else weight
    expected = (1 - w) * other(x, t) + w * one(x, t)
    np.testing.assert_allclose(guided(x, t), expected, rtol=1e-5)
    assert rgen.sample(rgen.ScoreModel(guided, CIRCLE), jr.key(0), 3).shape == (3, 1)


def test_a_negative_weight_is_refused():
    score = rgen.Given(Located(), jnp.zeros(1))
    with pytest.raises(ValueError, match="not to be negative"):
        rgen.ClassifierFreeGuidance(score, score, -0.5)


# Learning


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
def test_a_model_learns_the_density_given_a_point_of_another_manifold():
    # On the circle, given a point of the sphere: a wrapped normal around the longitude,
    # the wider the nearer the point is to a pole.
    spread = lambda c: 0.05 + 0.5 * c[2] ** 2
    centre = lambda c: jnp.arctan2(c[1], c[0])[None]

    def pair(key):
        c_key, y_key = jr.split(key)
        c = S2.uniform(c_key)
        return rgen.heat_kernel(T1).sample(centre(c), spread(c), y_key), c

    pairs = jax.jit(lambda key, n: jax.vmap(pair)(jr.split(key, n)), static_argnums=1)
    process = rgen.Brownian(T1, rgen.LogUniformSchedule(1e-3))
    score = conditional(
        process, S2.origin, rgen.nn.PointFeatures(S2), width=64, depth=3, frequencies=16
    )
    optim = optax.adam(optax.cosine_decay_schedule(3e-3, 2000))

    @eqx.filter_jit
    def step(score, state, key):
        data_key, t_key, loss_key = jr.split(key, 3)
        y, c = pairs(data_key, 512)
        t = process.stratified_times(t_key, 512)
        weight = rgen.losses.variance_weight

        def loss(score):
            one = lambda y, c, t, key: rgen.losses.denoising(
                score.given(c), process, y, t, key, weight=weight
            )
            return jnp.mean(jax.vmap(one)(y, c, t, jr.split(loss_key, 512)))

        updates, state = optim.update(eqx.filter_grad(loss)(score), state)
        return eqx.apply_updates(score, updates), state

    state = optim.init(eqx.filter(score, eqx.is_array))
    for key in jr.split(jr.key(0), 2000):
        score, state = step(score, state, key)
    model = rgen.ScoreModel(score, process)
    y, c = pairs(jr.key(1), 1000)
    exact = lambda y, c: rgen.heat_kernel(T1).log_prob(centre(c), y, spread(c) + 1e-3)
    gap = jax.vmap(exact)(y, c) - rgen.log_prob(model, y, given=c)
    # 0.02 nats of divergence between the two, a tenth of a standard deviation of the
    # centre, and of its estimate four standard errors.
    assert np.mean(gap) < 0.02 + 4 * np.std(gap) / np.sqrt(1000)
    # For each condition a density of its own.
    grid = jnp.linspace(-jnp.pi, jnp.pi, 200, endpoint=False)[:, None]
    mass = jnp.exp(rgen.log_prob(model.given(c[0]), grid)).mean() * 2 * jnp.pi
    assert mass == pytest.approx(1, abs=1e-3)
