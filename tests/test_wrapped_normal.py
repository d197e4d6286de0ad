"""Wrapped normals against sums over all windings in 30 digits, in every dimension and
at every scale."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import rgen


def exact(angle, scale, dim):
    """log p at an angle from the mean on S^d, by the sum over the windings."""
    with mpmath.workdps(30):
        r, s = mpmath.mpf(angle), mpmath.mpf(scale)
        reach = int(scale * (math.sqrt(dim - 1) + 12) / 6) + 2
        lengths = [abs(r + 2 * mpmath.pi * k) for k in range(-reach, reach + 1)]
        terms = [q ** (dim - 1) * mpmath.exp(-(q**2) / (2 * s**2)) for q in lengths]
        norm = dim * mpmath.log(2 * mpmath.pi * s**2) / 2
        volume = (dim - 1) * mpmath.log(abs(mpmath.sin(r)))
        return float(mpmath.log(sum(terms)) - norm - volume)


# On both sides of 24, up to which all windings are summed, and of 12, from which on the
# longer ones are summed by a formula too.
_SCALES = [0.05, 1.0, 4.0, 8.0, 10.0, 11.9, 12.1, 16.0, 23.0, 25.0, 30.0, 100.0]


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 64, 127, 511])
def test_every_scale_on_spheres(dim, dtype, eps):
    sphere = rgen.Sphere(dim)
    mean = sphere.origin
    across = sphere.basis(mean)[0]

    @jax.jit
    @jax.vmap
    def value_and_slope(angle, scale):
        x = sphere.exp(mean, angle * across)
        at = lambda s: rgen.WrappedNormal(sphere, mean, s).log_prob(x)
        return jax.value_and_grad(at)(scale)

    pairs = [(r, s) for r in (0.3, 1.5, 2.9) for s in _SCALES]
    angles, scales = jnp.array(pairs, dtype).T
    found, slopes = value_and_slope(angles, scales)
    wanted = [
        exact(float(r), float(s), dim) for r, s in zip(angles, scales, strict=True)
    ]
    # The angle of a point is rounded by eps, which log p magnifies by up to
    # (dim - 1) / tan(angle), the wide ones of which are near the antipode, and by
    # angle / scale^2 at small scales. The sum of the tails is good to 1e-10.
    slack = 1e-10 + 8 * eps * (dim * 10 + 3 / np.asarray(scales) ** 2)
    assert np.all(
        np.abs(np.asarray(found) - wanted) <= slack + 8 * eps * np.abs(wanted)
    )
    assert jnp.all(jnp.isfinite(slopes))


def test_large_scales_are_uniform(dtype, eps):
    """On every compact manifold that has only closed geodesics of one kind."""
    for manifold in [rgen.Torus(1), rgen.Power(rgen.Torus(1), 2), rgen.Torus(3)]:
        x = jnp.full(manifold.point_shape, 0.7, dtype)
        p = rgen.WrappedNormal(manifold, jnp.zeros_like(x), 100.0)
        found = eqx.filter_jit(p.log_prob)(x)
        np.testing.assert_allclose(found, -manifold.log_volume, rtol=1e-9 + 20 * eps)


def test_near_the_mean_in_float32():
    """At a distance of 1e-6, where the rounding of a point is a tenth of it."""
    sphere = rgen.Sphere(2)
    mean = sphere.project(jnp.array([0.3, 0.2, 0.9]))
    scale, u = 1e-6, sphere.basis(mean)[0]
    x = sphere.exp(mean, 1e-6 * u)
    # Of the rounded point, in float64.
    gap = np.asarray(x, float) - np.asarray(mean, float)
    gap = gap - gap @ np.asarray(mean, float) * np.asarray(mean, float)
    wanted = -(gap @ gap) / 2 / scale**2 - math.log(2 * math.pi * scale**2)
    found = rgen.WrappedNormal(sphere, mean, scale).log_prob(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
