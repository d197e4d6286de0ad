import io
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import rgen


S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)
SCHEDULE = rgen.LogUniformSchedule(1e-4, 5.0)
PROCESSES = {
    "S2": rgen.Brownian(S2, SCHEDULE),
    "S5": rgen.Brownian(rgen.Sphere(5), SCHEDULE),
    "T2": rgen.Brownian(T2, SCHEDULE),
    "SO3": rgen.Brownian(SO3, SCHEDULE),
    "OU": rgen.OrnsteinUhlenbeck(rgen.Euclidean(3), SCHEDULE),
}


def small(process, key, parametrisation=None):
    """A small field with a random last layer."""
    parametrisation = parametrisation or rgen.nn.Projected()
    score = rgen.nn.ScoreField(
        process,
        width=16,
        depth=2,
        frequencies=8,
        parametrisation=parametrisation,
        key=key,
    )
    weight = score.field.network.last.weight
    return eqx.tree_at(
        lambda s: s.field.network.last.weight, score, jr.normal(key, weight.shape)
    )


@eqx.filter_jit
def points(manifold, n):
    at = lambda key: manifold.exp(
        manifold.origin, manifold.tangent_noise(manifold.origin, key)
    )
    return jax.vmap(at)(jr.split(jr.key(1), n))


@eqx.filter_jit
def evaluate(score, x, t):
    return jax.vmap(score, (0, None))(x, t)


# Parametrisations

FIELDS = [
    ("S2", rgen.nn.Projected()),
    ("S2", rgen.nn.KillingFrame()),
    ("SO3", rgen.nn.Projected()),
    ("SO3", rgen.nn.KillingFrame()),
    ("SO3", rgen.nn.LieAlgebra()),
    ("T2", rgen.nn.LieAlgebra()),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parametrisation"),
    FIELDS,
    ids=lambda p: p if isinstance(p, str) else type(p).__name__,
)
def test_fields_are_tangent(name, parametrisation):
    process = PROCESSES[name]
    manifold = process.manifold
    score = small(process, jr.key(0), parametrisation)
    x = points(manifold, 16)
    s = evaluate(score, x, jnp.array(0.5))
    assert s.shape == x.shape
    tangent = jax.vmap(manifold.to_tangent)(x, s)
    # Rounding, in the size of the score.
    np.testing.assert_allclose(s, tangent, atol=1e-5 * jnp.max(jnp.abs(s)))
    assert jnp.max(jnp.abs(s)) > 0.1


@pytest.mark.parametrize("manifold", [S2, SO3, rgen.Product(S2, T2)])
def test_killing_fields_span_the_tangent_space_without_divergence(manifold):
    killing = rgen.nn.KillingFrame()
    size = killing.size(manifold)

    @jax.jit
    def look(x):
        apply = lambda a: killing(manifold, x, a)
        field = lambda a: lambda y: killing(manifold, y, a)
        fields = jax.vmap(apply)(jnp.eye(size))
        divergence = lambda a: manifold.divergence(field(a), x)
        return fields.reshape(size, -1), jax.vmap(divergence)(jnp.eye(size))

    fields, divergences = look(points(manifold, 1)[0])
    assert np.linalg.matrix_rank(fields, tol=1e-4) == manifold.dim
    # Rounding.
    assert jnp.max(jnp.abs(divergences)) < 1e-5


@pytest.mark.parametrize(
    "manifold", [S2, rgen.Product(T2, S2), rgen.Power(S2, 3), rgen.Hyperbolic(2)]
)
def test_lie_algebra_needs_a_group(manifold):
    with pytest.raises(ValueError, match=r"expected a Lie group, got \w*\(.*Use"):
        rgen.nn.LieAlgebra().size(manifold)


def test_lie_algebra_is_orthonormal_on_products_of_groups():
    manifold = rgen.Product(T2, rgen.Power(SO3, 2))
    lie = rgen.nn.LieAlgebra()
    assert lie.size(manifold) == manifold.dim == 8
    x = manifold.join(*(m.origin for m in manifold.manifolds))

    @jax.jit
    def gram(x):
        frame = jax.vmap(lambda a: lie(manifold, x, a))(jnp.eye(8))
        inner = lambda u, v: manifold.inner(x, u, v)
        return jax.vmap(lambda u: jax.vmap(lambda v: inner(u, v))(frame))(frame)

    np.testing.assert_allclose(gram(x), np.eye(8), atol=1e-6)


# What the network has to put out


@pytest.mark.parametrize("name", PROCESSES)
def test_scaled_score_is_of_order_one_at_every_time(name):
    # The root mean square, for each dimension, of the score that the network learns.
    process = PROCESSES[name]
    manifold = process.manifold
    x0 = manifold.exp(
        manifold.origin, manifold.tangent_noise(manifold.origin, jr.key(2))
    )

    def size(t, key):
        x = process.sample(x0, t, key)
        s = process.score(x0, x, t) / process.score_scale(t)
        return manifold.inner(x, s, s) / manifold.dim

    t = jnp.linspace(process.schedule.t0, process.schedule.t1, 12)
    keys = jr.split(jr.key(3), 512)
    sizes = jax.jit(jax.vmap(lambda t: jax.vmap(size, (None, 0))(t, keys)))(t)
    root = np.sqrt(np.mean(sizes, axis=1))
    assert (root > 0.3).all() and (root < 3).all()
    # Without the scale it is not: from v = 1e-4 to 5, by a factor of a hundred or more.
    scales = jax.vmap(process.score_scale)(t)
    assert scales[0] / scales[-1] > 50


def test_a_new_field_is_zero_and_its_parameters_are_the_networks():
    process = PROCESSES["S2"]
    score = rgen.nn.ScoreField(process, width=16, depth=3, frequencies=8, key=jr.key(0))
    assert (evaluate(score, points(S2, 4), jnp.array(0.3)) == 0).all()
    leaves = jax.tree.leaves(eqx.filter(score, eqx.is_array))
    network = jax.tree.leaves(eqx.filter(score.field.network, eqx.is_array))
    # A weight and a bias of each of three hidden layers and of the last.
    assert len(leaves) == len(network) == 8


def test_the_limit_of_a_process_is_no_parameter():
    flat = rgen.Euclidean(2)
    process = rgen.Langevin(flat, rgen.LinearSchedule())
    score = rgen.nn.ScoreField(process, width=16, depth=2, frequencies=8, key=jr.key(0))
    assert len(jax.tree.leaves(eqx.filter(score, eqx.is_array))) == 6


@pytest.mark.parametrize("name", ["S2", "T2"])
def test_features_are_smooth_on_the_manifold(name):
    process = PROCESSES[name]
    features = rgen.nn.FourierFeatures(process.manifold, 1e-4, 5.0, 8, 30.0)
    x = points(process.manifold, 8)
    at = jax.jit(jax.vmap(features, (0, None)))
    first, last = at(x, jnp.array(1e-4)), at(x, jnp.array(5.0))
    assert first.shape == (8, features.out_size)
    assert (abs(first) <= 1 + 1e-6).all()
    size = sum(features._in_sizes)
    # At v = 5 the fine waves, of the second half of the scales, are gone; at first not.
    waves = slice(size + 4, size + 8)
    assert jnp.max(jnp.abs(last[:, waves])) < 1e-6
    assert jnp.max(jnp.abs(first[:, waves])) > 0.1
    if name == "T2":
        # The same at the same point: rounding, times the largest frequency.
        turned = at(x + 2 * np.pi, jnp.array(1e-4))
        np.testing.assert_allclose(first, turned, atol=1e-4)


def test_damping_is_that_of_a_smaller_variance():
    make = partial(rgen.nn.FourierFeatures, S2, 1e-4, 5.0, 8, 30.0)
    x = points(S2, 1)[0]
    waves = slice(3, 3 + 2 * 8)
    quarter = make(damping=0.25)(x, jnp.array(0.04))[waves]
    np.testing.assert_allclose(quarter, make()(x, jnp.array(0.01))[waves], atol=1e-6)
    assert jnp.max(jnp.abs(quarter - make()(x, jnp.array(0.04))[waves])) > 0.01


def test_a_field_without_random_frequencies():
    process = PROCESSES["T2"]
    score = rgen.nn.ScoreField(process, frequencies=0, key=jr.key(0))
    features = score.field.features
    x, t = points(process.manifold, 1)[0], jnp.array(0.4)
    assert features(x, process.schedule.variance(t)).shape == (features.out_size,)
    assert jnp.all(jnp.isfinite(score(x, t)))


@pytest.mark.parametrize(
    "manifold",
    [rgen.Torus(4), rgen.Power(rgen.Torus(2), 2), rgen.Product(S2, rgen.Torus(4))],
    ids=str,
)
def test_harmonics_are_those_of_every_angle(manifold):
    make = partial(rgen.nn.FourierFeatures, manifold, 1e-3, 5.0, 0)
    x, v = points(manifold, 1)[0], jnp.array(0.5)
    features, first = make(harmonics=3)(x, v), make()(x, v)
    assert features.shape == (make(harmonics=3).out_size,)
    angles = jnp.ravel(x)[-4:]
    damping = {k: k * v / 2 / jnp.sinh(k * v / 2) for k in (2, 3)}
    waves = [
        d * wave(k * angles) for wave in (jnp.cos, jnp.sin) for k, d in damping.items()
    ]
    found, expected = features[len(first) - 17 : -17], jnp.concatenate(waves)
    np.testing.assert_allclose(jnp.sort(found), jnp.sort(expected), atol=1e-5)
    rest = jnp.concatenate([features[: len(first) - 17], features[-17:]])
    np.testing.assert_array_equal(rest, first)


def test_harmonics_are_those_of_the_score_of_a_wrapped_normal():
    mean, scale, k = jnp.array([0.3]), 0.8, jnp.arange(1, 30)
    x = jnp.array([2.9])
    waves = (-1) ** k * jnp.sin(k * (x - mean)) / jnp.sinh(k * scale**2 / 2)
    score = jax.grad(rgen.WrappedNormal(rgen.Torus(1), mean, scale).log_prob)(x)
    np.testing.assert_allclose(jnp.sum(waves), score[0], rtol=1e-4)


def test_harmonics_are_damped_by_the_noise_of_their_factor():
    manifold = rgen.Product(rgen.Torus(1), S2, rgen.Torus(1))
    ends = (1e-3,) * 3, (5.0,) * 3
    features = rgen.nn.FourierFeatures(manifold, *ends, 0, harmonics=2)
    x, v = jnp.array([0.0, 0.0, 0.0, 1.0, 0.0]), jnp.array([0.5, 1.0, 2.0])
    # After those of the points; at the angle zero a sine is zero.
    np.testing.assert_allclose(
        features(x, v)[7:11], [0.5 / np.sinh(0.5), 0, 2 / np.sinh(2), 0], rtol=1e-5
    )
    # No overflow far out, in the value or the slope.
    far = lambda v: features(x, jnp.full(3, v))[7:11]
    assert not jnp.any(far(1e4))
    assert not jnp.any(jax.jacfwd(far)(1e4))


def test_harmonics_are_of_angles():
    make = partial(rgen.nn.FourierFeatures, v_min=1e-3, v_max=5.0)
    with pytest.raises(ValueError, match=r"Sphere.* has no angles, got 2"):
        make(S2, harmonics=2)
    with pytest.raises(ValueError, match="`harmonics` of at least 1"):
        make(T2, harmonics=0)
    # As the message says, random frequencies are for all manifolds.
    assert make(S2, size=8).out_size == make(S2, size=0).out_size + 16


@pytest.mark.slow
def test_of_many_angles_networks_make_no_harmonics():
    """A regression on sin(a) + sin(2a) of each angle `a`."""
    manifold = rgen.Torus(64)
    target = lambda x: jnp.sin(x) + jnp.sin(2 * x)

    def error(harmonics):
        field = rgen.nn.NeuralField(
            manifold,
            0.5,
            2.0,
            width=128,
            depth=2,
            frequencies=0,
            harmonics=harmonics,
            key=jr.key(0),
        )
        return regression(field, target, 1000, jr.key(1))

    # Half is the mean square of the second term.
    assert error(1) > 0.45
    assert error(2) < 0.01


def regression(field, target, steps, key):
    """The mean square of the error that is left."""
    optim = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    uniform = jax.vmap(field.manifold.uniform)

    @eqx.filter_jit
    def loss(field, key):
        x = uniform(jr.split(key, 256))
        each = jax.vmap(field, (0, None))(x, jnp.array(1.0)) - target(x)
        return jnp.mean(each**2)

    @eqx.filter_jit
    def step(field, state, key):
        updates, state = optim.update(eqx.filter_grad(loss)(field, key), state)
        return eqx.apply_updates(field, updates), state

    state = optim.init(eqx.filter(field, eqx.is_inexact_array))
    *keys, last = jr.split(key, steps + 1)
    for each in keys:
        field, state = step(field, state, each)
    return loss(field, last)


# Parameters as data


def test_serialisation_round_trip():
    process = PROCESSES["SO3"]
    score, other = small(process, jr.key(0)), small(process, jr.key(1))
    buffer = io.BytesIO()
    eqx.tree_serialise_leaves(buffer, score)
    buffer.seek(0)
    read = eqx.tree_deserialise_leaves(buffer, other)
    x, t = points(SO3, 4), jnp.array(0.4)
    assert jnp.array_equal(evaluate(read, x, t), evaluate(score, x, t))
    assert not jnp.array_equal(evaluate(other, x, t), evaluate(score, x, t))


def test_an_ensemble_is_the_mean_of_its_members():
    process = PROCESSES["S2"]
    one = lambda key: small(process, key)
    keys = jr.split(jr.key(0), 3)
    ensemble = rgen.nn.Ensemble(eqx.filter_vmap(one)(keys))
    x, t = points(process.manifold, 4), jnp.array(0.5)
    s = evaluate(ensemble, x, t)
    members = [evaluate(one(key), x, t) for key in keys]
    assert s.shape == x.shape
    assert jnp.max(jnp.abs(members[0] - members[1])) > 1
    # Rounding, in the size of the scores.
    atol = 1e-5 * np.max(np.abs(members))
    np.testing.assert_allclose(s, np.mean(members, axis=0), atol=atol)
    log_p = rgen.log_prob(rgen.ScoreModel(ensemble, process), x)
    assert log_p.shape == (4,) and jnp.all(jnp.isfinite(log_p))


def test_an_ensemble_needs_members():
    single = small(PROCESSES["S2"], jr.key(0))
    for members in (single, lambda x, t: x):
        with pytest.raises(ValueError, match=r"Ensemble: .*`members`.*filter_vmap"):
            rgen.nn.Ensemble(members)
    empty = jax.tree.map(
        lambda leaf: leaf[None][:0] if eqx.is_array(leaf) else leaf, single
    )
    with pytest.raises(ValueError, match="not empty"):
        rgen.nn.Ensemble(empty)


@pytest.mark.parametrize("name", ["S2", "SO3", "T2"])
def test_float64(name):
    process = PROCESSES[name]
    single = small(process, jr.key(0))
    x, t = points(process.manifold, 8), jnp.array(0.5)
    s = evaluate(single, x, t)
    assert s.dtype == jnp.float32
    with jax.enable_x64(True):
        wide = lambda leaf: leaf.astype("float64") if eqx.is_array(leaf) else leaf
        double = jax.tree.map(wide, single)
        s64 = evaluate(double, wide(x), wide(t))
        assert s64.dtype == jnp.float64
    # Rounding of phases up to a hundred, and of the sums after.
    np.testing.assert_allclose(s, s64, atol=1e-4 * np.max(np.abs(s64)))


def test_field_keeps_float32_where_float64_is_enabled():
    process = PROCESSES["S2"]
    single = small(process, jr.key(0))
    with jax.enable_x64(True):
        x, t = jnp.ones(3, "float32") / np.float32(3) ** 0.5, jnp.array(0.5, "float32")
        assert jax.eval_shape(single, x, t).dtype == jnp.float32


def test_residual_mlp():
    network = rgen.nn.ResidualMLP(4, 2, width=8, depth=3, key=jr.key(0))
    assert len(network.hidden) == 2
    random = jr.normal(jr.key(1), (2, 8))
    network = eqx.tree_at(lambda n: n.last.weight, network, random)
    x = jr.normal(jr.key(2), (4,))
    np.testing.assert_allclose(network(x), random @ last_hidden(network, x), rtol=1e-5)


def last_hidden(network, x):
    h = jax.nn.silu(network.first.weight @ x + network.first.bias)
    for layer in network.hidden:
        h = h + jax.nn.silu(layer.weight @ h + layer.bias)
    return h


def test_experts():
    network = rgen.nn.ResidualMLP(4, 2, width=8, depth=3, experts=5, key=jr.key(0))
    assert (network(jnp.ones(4)) == 0).all()
    weights, biases = jr.normal(jr.key(1), (5, 2, 8)), jr.normal(jr.key(2), (5, 2))
    last = weights.reshape(10, 8), biases.reshape(10)
    network = eqx.tree_at(lambda n: (n.last.weight, n.last.bias), network, last)
    x = jr.normal(jr.key(3), (4,))
    h = last_hidden(network, x)
    shares = jax.nn.softmax(network.gate.weight @ h + network.gate.bias)
    expected = sum(shares[k] * (weights[k] @ h + biases[k]) for k in range(5))
    np.testing.assert_allclose(network(x), expected, rtol=1e-5)
    assert jnp.max(shares) > 0.25
