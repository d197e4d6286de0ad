"""Wrong input is one clear error while a function is traced, and right input costs
nothing after that."""

import os
import subprocess
import sys
import textwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import MANIFOLDS, every_manifold

import rgen


SPHERE = rgen.Sphere(2)
X, V = SPHERE.origin, jnp.zeros(3)
PROCESS = rgen.Brownian(SPHERE, rgen.LinearSchedule())
T = jnp.array(0.5)


@every_manifold
def test_a_wrong_shape_names_argument_and_shapes(name):
    manifold = MANIFOLDS[name]()
    x = manifold.origin
    wrong = jnp.zeros((2, *manifold.point_shape))
    for call in (
        lambda: manifold.exp(wrong, x),
        lambda: manifold.log(wrong, x),
        lambda: manifold.dist(wrong, x),
        lambda: manifold.inner(wrong, x, x),
        lambda: manifold.norm(wrong, x),
        lambda: manifold.project(wrong),
        lambda: manifold.to_tangent(wrong, x),
        lambda: manifold.transport(wrong, x, x),
        lambda: manifold.contains(wrong),
        lambda: manifold.frame(wrong, jnp.zeros(manifold.noise_shape)),
        lambda: manifold.basis(wrong),
        lambda: manifold.killing(wrong, jnp.zeros(manifold.killing_size)),
        lambda: manifold.features(wrong),
        lambda: manifold.log_det_exp(wrong, x),
        lambda: manifold.tangent_noise(wrong, jr.key(0)),
        lambda: manifold.gradient(jnp.sum, wrong),
        lambda: manifold.covariant_derivative(lambda y: y, wrong, x),
        lambda: manifold.divergence(lambda y: y, wrong),
    ):
        assert_names(call, ValueError, "`x`", manifold.point_shape, wrong.shape, "vmap")


@pytest.mark.parametrize(
    ("call", "argument", "expected", "actual"),
    [
        (lambda bad: SPHERE.exp(X, bad), "`v`", (3,), (4,)),
        (lambda bad: SPHERE.log(X, bad), "`y`", (3,), (4,)),
        (lambda bad: SPHERE.inner(X, bad, V), "`u`", (3,), (4,)),
        (lambda bad: SPHERE.transport(X, X, bad), "`v`", (3,), (4,)),
        (lambda bad: SPHERE.frame(X, bad), "`z`", (3,), (4,)),
        (lambda bad: SPHERE.killing(X, bad), "`a`", (3,), (4,)),
        (lambda bad: PROCESS.drift(bad, T), "`x`", (3,), (4,)),
        (lambda bad: PROCESS.sample(bad, T, jr.key(0)), "`x0`", (3,), (4,)),
        (lambda bad: PROCESS.score(X, bad, T), "`x`", (3,), (4,)),
    ],
)
def test_every_argument_is_checked(call, argument, expected, actual):
    assert_names(lambda: call(jnp.zeros(4)), ValueError, argument, expected, actual)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (jnp.zeros(3, int), "int32 of shape (3,)"),
        (jnp.zeros(3, jnp.float16), "float16 of shape (3,)"),
        (jnp.zeros(3, jnp.bfloat16), "bfloat16 of shape (3,)"),
        (jnp.zeros(3, complex), "complex64 of shape (3,)"),
        (np.zeros(3, np.float32), "a NumPy array of float32 of shape (3,)"),
        ([0.0, 0.0, 1.0], "a list"),
    ],
    ids=["int", "float16", "bfloat16", "complex", "numpy", "list"],
)
def test_points_are_jax_arrays_of_float32_or_float64(bad, kind):
    assert_names(lambda: SPHERE.exp(bad, V), TypeError, "`x`", kind)
    assert_names(lambda: SPHERE.exp(X, bad), TypeError, "`v`", kind)


@pytest.mark.parametrize("dtype", [int, np.float64, list])
def test_what_the_message_says_to_write_works(dtype):
    x = [0.0, 0.0, 1.0] if dtype is list else np.array([0, 0, 1], dtype)
    for bad in (x, jnp.array([0, 0, 1])):
        with pytest.raises(TypeError) as caught:
            SPHERE.exp(bad, V)
        remedy = str(caught.value).split("Write ")[1].rstrip(".")
        good = eval(remedy, dict(jnp=jnp, x=bad))
        np.testing.assert_allclose(SPHERE.exp(good, V), SPHERE.exp(X, V))


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (0.5, "the float 0.5"),
        (1, "the int 1"),
        (np.float32(0.5), "a NumPy array of float32 of shape ()"),
        (jnp.zeros(3), "float32 of shape (3,)"),
    ],
    ids=["float", "int", "numpy", "vector"],
)
def test_times_are_scalar_arrays(bad, kind):
    for call in (
        lambda: PROCESS.schedule.beta(bad),
        lambda: PROCESS.drift(X, bad),
        lambda: PROCESS.score(X, X, bad),
        lambda: PROCESS.score_scale(bad),
    ):
        assert_names(call, TypeError, "`t`", kind)


def test_wrong_modules_are_named():
    for call, argument in (
        (lambda: rgen.Brownian(SPHERE, 1.0), "schedule"),
        (lambda: rgen.Brownian("sphere", rgen.LinearSchedule()), "manifold"),
        (lambda: rgen.OrnsteinUhlenbeck(SPHERE, rgen.LinearSchedule()), "manifold"),
        (lambda: rgen.Power(2, SPHERE), "manifold"),
    ):
        assert_names(call, TypeError, argument)


def test_under_jit_the_error_is_the_same():
    wrong = jnp.zeros((5, 3))
    assert_names(lambda: jax.jit(SPHERE.exp)(wrong, wrong), ValueError, "`x`", (5, 3))
    integers = jnp.zeros((5, 3), int)
    assert_names(
        lambda: jax.jit(jax.vmap(SPHERE.exp))(integers, integers),
        TypeError,
        "`x`",
    )


def assert_names(call, error, *facts):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    for fact in facts:
        assert str(fact) in message
    # One error, not one while handling another.
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_whole_number_will_do_where_a_float_is_asked_for():
    def build(number):
        schedule = rgen.LogUniformSchedule(1e-4, number(5))
        process = rgen.Brownian(SPHERE, schedule)
        waves = dict(max_frequency=number(30), damping=number(2), key=jr.key(0))
        field = rgen.nn.FlowField(SPHERE, v_min=number(1), **waves)
        flow = rgen.MoserFlow(SPHERE, field, floor=number(1))
        return rgen.nn.ScoreField(process, **waves), flow

    assert eqx.tree_equal(build(int), build(float))
    with pytest.raises(TypeError, match="width"):
        rgen.nn.ScoreField(PROCESS, width=64.0, key=jr.key(0))


SCRIPT = """
import collections
import re

import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


process = rgen.OrnsteinUhlenbeck(rgen.Euclidean(3), rgen.LinearSchedule())
rotations = rgen.SpecialOrthogonal(3)


def loss(x, t, key):
    score = lambda x, t: x[0] * t * x
    return rgen.losses.sliced(score, process, x, t, key)


def distance(x, v):
    return rotations.dist(rotations.exp(x, v), rotations.origin)


point = jnp.ones(3), jnp.array(0.5), jr.key(0)
rotation = jnp.ones((4, 3, 3)), jnp.ones((4, 3, 3))
traced = str(jax.make_jaxpr(loss)(*point)) + str(
    jax.make_jaxpr(jax.vmap(jax.grad(distance)))(*rotation)
)
primitives = sorted(collections.Counter(re.findall(r" = (\\w+)", traced)).items())
"""


def test_the_checks_can_be_turned_off_and_leave_nothing_in_compiled_code():
    here = {}
    exec(SCRIPT, here)
    # Unchecked, a time may be a Python float, and a point have any shape and dtype.
    script = SCRIPT + textwrap.dedent("""
        rgen.LinearSchedule().beta(0.5)
        rgen.Euclidean(3).exp(jnp.zeros(3, int), jnp.zeros(3, int))
        rgen.Euclidean(3).exp(jnp.zeros(4), jnp.zeros(4))
        print(primitives)
    """)
    environment = {**os.environ, "JAXTYPING_DISABLE": "1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sum(count for _, count in here["primitives"]) > 100
    assert done.stdout.strip() == str(here["primitives"])
