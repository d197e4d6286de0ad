"""Finite groups of isometries, and what is invariant under them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import slow

import rgen


symmetry = rgen.symmetry
S2, T2, SO3 = rgen.Sphere(2), rgen.Torus(2), rgen.SpecialOrthogonal(3)

# The order of each crystal class.
POINT_GROUPS = {
    "1": (symmetry.cyclic(1), 1),
    "2": (symmetry.cyclic(2), 2),
    "222": (symmetry.dihedral(2), 4),
    "3": (symmetry.cyclic(3), 3),
    "32": (symmetry.dihedral(3), 6),
    "4": (symmetry.cyclic(4), 4),
    "422": (symmetry.dihedral(4), 8),
    "6": (symmetry.cyclic(6), 6),
    "622": (symmetry.dihedral(6), 12),
    "23": (symmetry.tetrahedral(), 12),
    "432": (symmetry.octahedral(), 24),
}
GROUPS = {
    "antipodes": symmetry.antipodes(S2),
    "antipodes of S5": symmetry.antipodes(rgen.Sphere(5)),
    "half turns": symmetry.half_turns(T2, 1),
    "half turns of both": symmetry.half_turns(T2, 0, 1),
    "32": symmetry.right_rotations(symmetry.dihedral(3)),
    "432": symmetry.right_rotations(symmetry.octahedral()),
}
QUICK = ["antipodes", "half turns"]
every_group = pytest.mark.parametrize(
    "name", [*QUICK, *slow([name for name in GROUPS if name not in QUICK])]
)


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_point_groups_are_groups_of_rotations(name):
    rotations, order = POINT_GROUPS[name]
    assert rotations.shape == (order, 3, 3)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    products = np.einsum("aij,bjk->abik", rotations, rotations)
    gaps = abs(products[:, :, None] - rotations).max((-2, -1))
    # All products are elements, and each element is there once.
    assert gaps.min(-1).max() < 1e-12
    assert (gaps < 1e-6).sum(-1).max() == 1
    np.testing.assert_allclose(rotations[0], np.eye(3), atol=1e-15)


def test_the_octahedral_group_permutes_the_axes():
    entries = np.abs(symmetry.octahedral())
    np.testing.assert_allclose(entries.sum(-1), 1, atol=1e-12)
    np.testing.assert_allclose(np.sort(entries, -1)[..., -1], 1, atol=1e-12)


def test_right_rotations_act_from_the_right():
    group = GROUPS["432"]
    x = SO3.uniform(jr.key(0))
    expected = x @ jnp.asarray(symmetry.octahedral(), x.dtype)
    np.testing.assert_allclose(group.orbit(x), expected, atol=1e-6)


def distribution(manifold):
    centre = manifold.exp(
        manifold.origin, 0.7 * manifold.tangent_noise(manifold.origin, jr.key(5))
    )
    scale = jnp.array(0.4)
    return rgen.WrappedNormal(manifold, centre, scale)


@every_group
def test_the_density_is_invariant_and_has_the_mass_one(name):
    group = GROUPS[name]
    manifold = group.manifold
    whole = symmetry.SymmetrisedDistribution(distribution(manifold), group)
    x = manifold.uniform(jr.key(1))
    on_orbit = rgen.log_prob(whole, group.orbit(x))
    # Rounding of points, at which a log-density has slopes of ten.
    np.testing.assert_allclose(on_orbit, on_orbit[0], atol=1e-4)
    n = 40_000
    points = rgen.sample(rgen.Uniform(manifold), jr.key(2), n)
    p = np.exp(np.asarray(rgen.log_prob(whole, points), np.float64))
    p = p * np.exp(float(manifold.log_volume))
    assert abs(p.mean() - 1) < 4 * p.std() / np.sqrt(n)
    # On the quotient the density is `order` times as large: over the points that fold
    # to themselves, a fundamental domain, it has the mass one.
    fold = jax.jit(jax.vmap(group.fold, (0, None)))
    folded = fold(points, manifold.uniform(jr.key(12)))
    moved = abs(np.asarray(folded - points)).reshape(n, -1).max(1)
    p = p * group.order * (moved < 1e-3)
    assert abs(p.mean() - 1) < 4 * p.std() / np.sqrt(n)


@every_group
def test_samples_fall_on_the_whole_orbit(name):
    group = GROUPS[name]
    manifold = group.manifold
    part = distribution(manifold)
    whole = symmetry.SymmetrisedDistribution(part, group)
    n = 4000
    features = jax.vmap(lambda x: jnp.ravel(manifold.features(x)))
    found = np.asarray(features(rgen.sample(whole, jr.key(3), n)))
    orbits = jax.vmap(group.orbit)(rgen.sample(part, jr.key(4), n))
    expected = np.asarray(features(orbits.reshape(-1, *manifold.point_shape)))
    # Four standard errors of the one mean, of which the other has a part.
    error = found.std(0) * np.sqrt(2 / n)
    assert (abs(found.mean(0) - expected.mean(0)) < 4 * error + 1e-6).all()


@every_group
def test_the_average_of_a_field_is_equivariant(name):
    group = GROUPS[name]
    manifold = group.manifold
    part = distribution(manifold)
    score = lambda x, t: manifold.gradient(part.log_prob, x) * t
    field = symmetry.SymmetrisedField(score, group)
    x, t = manifold.uniform(jr.key(6)), jnp.array(0.5)
    at_x = eqx.filter_jit(field)(x, t)

    @jax.jit
    def back(index):
        return group.pull_back(index, field(group.act(index, x), t))

    found = jax.lax.map(back, jnp.arange(group.order))
    scale = 1e-4 * (1 + jnp.max(jnp.abs(at_x)))
    np.testing.assert_allclose(found, jnp.broadcast_to(at_x, found.shape), atol=scale)


@every_group
def test_an_equivariant_score_stays_what_it_is(name):
    # The heat kernel commutes with isometries: data augmented by the group have a score
    # that the average leaves alone.
    group = GROUPS[name]
    manifold = group.manifold
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.3))
    orbit = group.orbit(distribution(manifold).mean)

    def score(x, t):
        v = process.schedule.variance(t)
        log_prob = jax.vmap(process.kernel.log_prob, (0, None, None))(orbit, x, v)
        each = jax.vmap(process.kernel.score, (0, None, None))(orbit, x, v)
        return jnp.tensordot(jax.nn.softmax(log_prob), each, 1)

    x, t = manifold.uniform(jr.key(8)), jnp.array(0.2)
    expected = jax.jit(score)(x, t)
    found = eqx.filter_jit(symmetry.SymmetrisedField(score, group))(x, t)
    scale = 1e-4 * (1 + jnp.max(jnp.abs(expected)))
    np.testing.assert_allclose(found, expected, atol=scale)


@every_group
def test_the_average_is_the_model_of_augmented_data(name):
    # The kernel is the same after an isometry of both points: a kernel mixture of the
    # augmented data is the average of that of the data.
    group = GROUPS[name]
    manifold = group.manifold
    data = rgen.sample(distribution(manifold), jr.key(13), 5)
    augmented = jax.vmap(group.orbit)(data).reshape(-1, *manifold.point_shape)
    kernel, variances = rgen.heat_kernel(manifold), jnp.array([0.1, 0.3])
    model = lambda x: rgen.KernelMixture(kernel, x, variances, jnp.zeros(2))
    whole = symmetry.SymmetrisedDistribution(model(data), group)
    x = rgen.sample(rgen.Uniform(manifold), jr.key(14), 50)
    expected = rgen.log_prob(model(augmented), x)
    # A point is rounded, where a log-density has slopes of ten.
    np.testing.assert_allclose(rgen.log_prob(whole, x), expected, atol=1e-4)


@every_group
def test_an_orbit_folds_to_one_point(name):
    group = GROUPS[name]
    manifold = group.manifold
    reference = manifold.uniform(jr.key(9))
    folded = jax.vmap(group.fold, (0, None))(
        group.orbit(manifold.uniform(jr.key(10))), reference
    )
    features = jax.vmap(manifold.features)(folded)
    np.testing.assert_allclose(features, features[0] + 0 * features, atol=1e-5)


def test_the_average_loses_nothing_on_symmetric_data():
    group = GROUPS["antipodes"]
    part = distribution(S2)
    whole = symmetry.SymmetrisedDistribution(part, group)
    data = rgen.sample(whole, jr.key(11), 500)
    augmented = jax.vmap(group.orbit)(data).reshape(-1, 3)
    assert jnp.mean(rgen.log_prob(whole, augmented)) >= jnp.mean(
        rgen.log_prob(part, augmented)
    )


def test_maps_that_are_no_isometries_are_refused():
    with pytest.raises(ValueError, match="element 1 leaves the manifold"):
        symmetry.FiniteGroup(S2, np.stack([np.eye(3), 2 * np.eye(3)]))
    with pytest.raises(ValueError, match="element 1 does not keep lengths"):
        symmetry.FiniteGroup(T2, np.stack([np.eye(2), np.array([[1, 1], [0, 1]])]))
    with pytest.raises(ValueError, match=r"of shape \(order, 3, 3\)"):
        symmetry.FiniteGroup(S2, np.eye(2)[None])


def test_a_set_that_is_not_closed_is_refused():
    third = symmetry.cyclic(3)
    with pytest.raises(ValueError, match="is missing"):
        symmetry.right_rotations(third[:2])
    # What the message says.
    symmetry.right_rotations(third)


def test_a_group_of_a_product_acts_on_one_factor():
    poses = rgen.Product(SO3, rgen.Euclidean(3))
    turns = symmetry.right_rotations(symmetry.cyclic(2)).matrices
    matrices = np.zeros((2, 12, 12))
    matrices[:, :9, :9], matrices[:, 9:, 9:] = turns, np.eye(3)
    group = symmetry.FiniteGroup(poses, matrices)
    rotation, position = SO3.uniform(jr.key(15)), jnp.array([1.0, 2.0, 3.0])
    turned, same = poses.split(group.act(1, poses.join(rotation, position)))
    np.testing.assert_array_equal(same, position)
    expected = rotation @ jnp.diag(jnp.array([-1.0, -1.0, 1.0]))
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_a_group_can_be_made_inside_of_jit():
    pole = S2.origin
    found = jax.jit(lambda x: symmetry.antipodes(S2).act(1, x))(pole)
    np.testing.assert_array_equal(found, -pole)


def test_arguments_that_make_no_sense():
    with pytest.raises(ValueError, match="`angles` among 0 to 1"):
        symmetry.half_turns(T2, 2)
    with pytest.raises(ValueError, match="`n` of at least 1"):
        symmetry.cyclic(0)
    with pytest.raises(ValueError, match="expected a group on"):
        symmetry.SymmetrisedDistribution(rgen.Uniform(T2), GROUPS["antipodes"])
