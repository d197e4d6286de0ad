"""Elementary functions against mpmath, with their derivatives, across every switch from
one formula to another."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath
import numpy as np
import pytest

import rgen
from rgen import _numerics


# Of z = sqrt(s), up to a largest s.
FUNCTIONS = {
    "cos_sq": (mpmath.cos, 40.0),
    "sinc_sq": (mpmath.sinc, 40.0),
    "cosc_sq": (lambda z: 2 * mpmath.sin(z / 2) ** 2 / z**2, 40.0),
    "sinhc_sq": (lambda z: mpmath.sinh(z) / z, 40.0),
    "asinc_sq": (lambda z: mpmath.asin(z) / z, 0.99),
}


@functools.cache
def reference(name, order, x64):
    """Points s, and the derivative of the given order there. At 0 it is the limit."""
    function, largest = FUNCTIONS[name]
    s = np.concatenate(
        [
            np.geomspace(1e-30, largest, 40),
            _numerics._SMALL_SQ * (1 + np.array([-1e-3, -1e-6, 0, 1e-6, 1e-3])),
        ]
    ).astype(np.float64 if x64 else np.float32)
    of_square = lambda s: function(mpmath.sqrt(s))
    with mpmath.workdps(60):
        # Below 1e-8 a function is its value at 1e-30 to more digits than are asked for.
        at = [mpmath.mpf(float(max(value, 1e-8))) for value in s]
        exact = [mpmath.diff(of_square, z, order) for z in at]
    return s, np.array([float(value) for value in exact])


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_squares(name, order, dtype, eps):
    s, exact = reference(name, order, dtype == jnp.float64)
    f = getattr(_numerics, name)
    for _ in range(order):
        f = jax.grad(f)
    values = jax.jit(jax.vmap(f))(jnp.asarray(s))
    assert values.dtype == dtype
    # The functions and their derivatives are of size one where they change sign. The
    # formulas that hold from 0.05 up cancel by a factor of about 1 / 0.05 in each
    # derivative, and the first replacement below 1e-8 is off by that.
    size = np.maximum(1, np.abs(exact))
    cancelled = 8 * eps * 20**order
    assert np.all(np.abs(values - exact) <= (cancelled + 1e-8 * (s < 1e-8)) * size)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_squares_at_zero(name, dtype, eps):
    f = getattr(_numerics, name)
    zero = jnp.zeros(())
    derivatives = jax.jit(lambda s: (f(s), jax.grad(f)(s), jax.grad(jax.grad(f))(s)))
    # The first coefficients of each power series.
    series = {
        "cos_sq": (1, -1 / 2, 1 / 12),
        "sinc_sq": (1, -1 / 6, 1 / 60),
        "cosc_sq": (1 / 2, -1 / 24, 1 / 360),
        "sinhc_sq": (1, 1 / 6, 1 / 60),
        "asinc_sq": (1, 1 / 6, 3 / 20),
    }
    np.testing.assert_allclose(derivatives(zero), series[name], rtol=4 * eps)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_in_nan_out(name):
    assert jnp.isnan(getattr(_numerics, name)(jnp.array(jnp.nan)))


def test_safe_sqrt():
    s = jnp.array([0.0, 4.0, jnp.nan, -1.0])
    np.testing.assert_array_equal(_numerics.safe_sqrt(s)[:2], [0, 2])
    slopes = jax.vmap(jax.grad(_numerics.safe_sqrt))(s)
    np.testing.assert_array_equal(slopes[:2], [0, 0.25])
    assert jnp.isnan(_numerics.safe_sqrt(s)[2])


def test_safe_norm(dtype, eps):
    v = jnp.array([[3.0, 4.0], [0.0, 0.0], [1e-12, 0.0]])
    norms = jax.vmap(_numerics.safe_norm)(v)
    np.testing.assert_allclose(norms, [5, 0, 1e-12], rtol=4 * eps)
    slopes = jax.vmap(jax.grad(_numerics.safe_norm))(v)
    np.testing.assert_allclose(slopes, [[0.6, 0.8], [0, 0], [1, 0]], rtol=4 * eps)
    assert jnp.isnan(_numerics.safe_norm(jnp.array([jnp.nan, 1.0])))


def test_log_sum_exp(dtype, eps):
    infinity = jnp.inf
    a = jnp.array(
        [[0.0, 0.0], [1e4, 1e4], [-1e4, -1e4], [3.0, -infinity], [-infinity] * 2]
    )
    values = _numerics.log_sum_exp(a)
    log2 = np.log(2)
    exact = [log2, 1e4 + log2, -1e4 + log2, 3, -infinity]
    np.testing.assert_allclose(values, exact, rtol=4 * eps)
    slopes = jax.vmap(jax.grad(_numerics.log_sum_exp))(a[:4])
    exact_slopes = [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [1, 0]]
    np.testing.assert_allclose(slopes, exact_slopes, rtol=4 * eps)
    assert jnp.isnan(_numerics.log_sum_exp(jnp.array([jnp.nan, 0.0])))


def test_log_sum_exp_along_an_axis():
    a = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(
        _numerics.log_sum_exp(a, axis=0), np.logaddexp(a[0], a[1]), rtol=1e-6
    )


def test_jax_reduces_large_batches_right():
    # What jax 0.10.2 gets wrong on CPU, by the length of the vectors themselves.
    sphere = rgen.Sphere(2)
    z = jr.normal(jr.key(0), (40_000, 6))
    x = sphere.project(jnp.array([1.0, 2.0, 3.0]))
    tangent = jax.jit(jax.vmap(lambda z: sphere.to_tangent(x, z[:3])))(z)
    # Seven roundings of numbers that are at most five.
    assert jnp.max(jnp.abs(tangent @ x)) < 7 * 5 * jnp.finfo(z.dtype).eps


@pytest.mark.parametrize("largest", [1.0, 1e4])
def test_sine_and_cosine(largest, dtype, eps):
    x = np.random.default_rng(0).uniform(-largest, largest, 20_000).astype(dtype)
    # The edges of the quarters, and their neighbours.
    edges = (np.arange(-40, 41) * np.pi / 4).astype(dtype)
    x = np.concatenate([x, edges, np.nextafter(edges, 2 * edges)])
    sin, cos = jax.jit(_numerics.sin_cos)(x)
    x64 = x.astype(np.float64)
    # Half a rounding error in the result, as much in its terms; the reference too.
    np.testing.assert_allclose(sin, np.sin(x64), atol=eps, rtol=0)
    np.testing.assert_allclose(cos, np.cos(x64), atol=eps, rtol=0)


def test_derivatives_of_sine_and_cosine(dtype, eps):
    x = jnp.linspace(-9, 9, 101, dtype=dtype)
    f = lambda x: jnp.stack(_numerics.sin_cos(x))
    for _ in range(3):
        f = jax.jacrev(f)
    third = jax.vmap(f)(x)
    expected = np.stack([-np.cos(x), np.sin(x)], 1)
    np.testing.assert_allclose(third, expected, atol=4 * eps)


def test_sine_and_cosine_of_large_numbers_stay_in_their_range():
    x = jnp.geomspace(1e4, 1e38, 20_000)
    assert np.max(np.abs(_numerics.sin_cos(x))) <= 1


def test_sine_and_cosine_of_no_number():
    assert np.isnan(_numerics.sin_cos(jnp.array([jnp.nan, jnp.inf]))).all()
