"""Models on manifolds as users write them: a training step, samples, a density."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import surfaces

import rgen


def angles(n):
    first, second = np.meshgrid(*[np.arange(n) * 2 * np.pi / n] * 2)
    return first.ravel(), second.ravel(), (2 * np.pi / n) ** 2


def torus_of_revolution():
    a, b, cell = angles(24)
    r = 1 + 0.5 * np.cos(b)
    x = np.stack([r * np.cos(a), r * np.sin(a), 0.5 * np.sin(b)], 1)
    return surfaces.TorusOfRevolution(), x, cell * 0.5 * r


def torus_in_two_angles():
    a, b, cell = angles(24)
    weights = cell * 0.5 * (1 + 0.5 * np.cos(b))
    return surfaces.AngleTorus(), np.stack([a, b], 1), weights


def ellipsoid():
    height, weight = np.polynomial.legendre.leggauss(24)
    angle = np.arange(32) * np.pi / 16
    z, a = (g.ravel() for g in np.meshgrid(height, angle, indexing="ij"))
    flat = np.sqrt(1 - z**2)
    unit = np.stack([flat * np.cos(a), flat * np.sin(a), z], 1)
    axes = np.array([1, 0.8, 0.6])
    # The area of an image of the unit sphere.
    area = np.prod(axes) * np.linalg.norm(unit / axes, axis=1)
    return surfaces.Ellipsoid(), unit * axes, np.repeat(weight * np.pi / 16, 32) * area


def stiefel():
    manifold, n = surfaces.Stiefel(), 512
    x = jax.jit(jax.vmap(manifold.uniform))(jr.split(jr.key(0), n))
    return manifold, np.asarray(x), np.full(n, math.exp(manifold.log_volume) / n)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "scale", "tolerance"),
    [
        # The tolerance of the solver, for rules that converge exponentially.
        (torus_of_revolution, 0.5, 2e-3),
        (torus_in_two_angles, 0.5, 2e-3),
        (ellipsoid, 0.5, 2e-3),
        # Four standard errors, for a ratio to the uniform density that deviates by 1/4.
        (stiefel, 0.05, 4 / 4 / 512**0.5),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_of_surfaces(rule, scale, tolerance):
    manifold, x, weights = rule()
    kernel = rgen.RandomWalkKernel(manifold, steps=3)
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(0.1, 3.0), kernel)
    size = dict(width=16, depth=2, frequencies=8, max_frequency=2.0)
    score = rgen.nn.ScoreField(process, key=jr.key(1), **size)
    last = lambda s: s.field.network.last.weight
    score = eqx.tree_at(last, score, scale * jr.normal(jr.key(2), last(score).shape))

    loss = lambda score, key: rgen.losses.sliced(
        score, process, manifold.origin, jnp.array(0.5), key
    )
    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss))(score, jr.key(3))
    leaves = jax.tree.leaves(gradient)
    assert jnp.isfinite(value) and all(jnp.isfinite(leaf).all() for leaf in leaves)
    assert any((leaf != 0).any() for leaf in leaves)

    model = rgen.ScoreModel(score, process, rgen.ReverseSDE(steps=4))
    samples = rgen.sample(model, jr.key(4), 8)
    assert jax.vmap(manifold.contains)(samples).all()

    log_p = np.asarray(rgen.log_prob(model, x.astype(np.float32)), float)
    assert np.std(log_p) > 0.1
    ratio = np.exp(log_p + manifold.log_volume)
    assert rule is not stiefel or np.std(ratio) < 0.25
    assert weights @ np.exp(log_p) == pytest.approx(1, abs=tolerance)
