"""Manifolds from an equation, from a metric and from a group: the contract, the closed
forms that they have to match, and that the contract finds faults."""

import math
import re

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.special
import surfaces
from helpers import slow

import rgen
from rgen.testing import check_manifold


# By the meridian and by elliptic integrals.
TORUS_AREA = 2 * math.pi**2
MADE = {
    "torus of revolution": surfaces.TorusOfRevolution,
    "ellipsoid": surfaces.Ellipsoid,
    "Stiefel": surfaces.Stiefel,
    "torus in two angles": surfaces.AngleTorus,
    "unit quaternions": surfaces.UnitQuaternions,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_the_contract(name):
    report = check_manifold(MADE[name](), jr.key(0), radius=0.5, n=8)
    assert len(report.residuals) >= 25
    if name != "unit quaternions":
        assert "`_log`" in report.skipped["log"]


def ellipsoid_area(a, b, c):
    angle = math.acos(c / a)
    m = a**2 * (b**2 - c**2) / (b**2 * (a**2 - c**2))
    e, f = scipy.special.ellipeinc(angle, m), scipy.special.ellipkinc(angle, m)
    arcs = e * math.sin(angle) ** 2 + f * math.cos(angle) ** 2
    return 2 * math.pi * c**2 + 2 * math.pi * a * b / math.sin(angle) * arcs


@pytest.mark.parametrize(
    ("manifold", "area", "rtol"),
    [
        # 65536 lines, whose numbers of points have a deviation of about their mean,
        # from a sequence that is spread evenly: half of what random ones err by.
        (surfaces.TorusOfRevolution(), TORUS_AREA, 5e-3),
        (surfaces.Ellipsoid(), ellipsoid_area(1, 0.8, 0.6), 5e-3),
        (surfaces.AngleTorus(), TORUS_AREA, 1e-6),
    ],
)
def test_volumes(manifold, area, rtol):
    np.testing.assert_allclose(math.exp(manifold.log_volume), area, rtol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("manifold", "height"),
    [
        (surfaces.TorusOfRevolution(), lambda x: jnp.hypot(x[0], x[1])),
        (surfaces.AngleTorus(), lambda x: 1 + 0.5 * jnp.cos(x[1])),
    ],
)
def test_uniform_samples_of_a_torus_of_revolution(manifold, height):
    """The distance from the axis, 1 + cos(b) / 2, has density (1 + cos(b) / 2) in b,
    and so the mean 1 + 1/8 and the second moment 1 + 3/8."""
    n = 4096
    sample = jax.jit(jax.vmap(lambda key: height(manifold.uniform(key))))
    r = np.asarray(sample(jr.split(jr.key(0), n)), float)
    for power, mean in [(1, 9 / 8), (2, 11 / 8)]:
        # Of level 6e-5.
        assert abs((r**power).mean() - mean) <= 4 * (r**power).std() / math.sqrt(n)


# Each with arrays of points and tangent vectors, a closed form for the same metric,
# and maps of points and of vectors at points to it.
def clifford(x):
    return jnp.arctan2(x[1::2], x[::2])


CLOSED = {
    "sphere": (surfaces.SphereByEquation(), rgen.Sphere(2), lambda x: x),
    "Clifford torus": (surfaces.Clifford(), rgen.Torus(2), clifford),
    "rotations": (
        surfaces.RotationsByEquation(),
        rgen.SpecialOrthogonal(3),
        lambda x: x,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOSED)
def test_geodesics_against_closed_forms(name, dtype):
    surface, closed, to_closed = CLOSED[name]

    @jax.jit
    @jax.vmap
    def errors(key, length):
        point_key, step_key = jr.split(key)
        x = surface.project(
            surface.origin + 0.1 * jr.normal(point_key, surface.point_shape)
        )
        v = surface.tangent_noise(x, step_key)
        v = length * v / surface.norm(x, v)
        p, u = jax.jvp(to_closed, (x,), (v,))
        return closed.features(to_closed(surface.exp(x, v))) - closed.features(
            closed.exp(p, u)
        )

    error = errors(jr.split(jr.key(0), 8), jnp.linspace(0.0, 3.0, 8))
    # The tolerances of the solver, 1e-6 and 1e-10, of a step, over some ten to fifty.
    bound = 2e-5 if dtype == jnp.float32 else 5e-9
    assert jnp.max(jnp.abs(error)) <= bound


def test_derivatives_of_a_solved_geodesic():
    """In forward and reverse mode, against the closed form."""
    surface, closed = surfaces.SphereByEquation(), rgen.Sphere(2)
    x, v = closed.origin, jnp.array([0.6, -0.8, 0.0])
    a = jnp.array([0.3, 0.2, 0.5])
    f = lambda m: lambda v: jnp.sum(a * m.exp(x, m.to_tangent(x, v)))
    for derivative in (jax.grad, jax.jacfwd):
        slope, expected = (jax.jit(derivative(f(m)))(v) for m in (surface, closed))
        np.testing.assert_allclose(slope, expected, atol=1e-5)


class Drifting(surfaces.SphereByEquation):
    """`exp` without the projection at its end, by a single Euler step."""

    def _exp(self, x, v):
        return x + v


class Turned(surfaces.AngleTorus):
    """With the wrong sign of the Christoffel symbols."""

    def _connection(self, x, v, f, df):
        return 2 * df - super()._connection(x, v, f, df)

    def _acceleration(self, x, v):
        return super()._connection(x, v, v, 0 * v) * -1


class Stretched(surfaces.SphereByEquation):
    """With a frame of twice the size."""

    def _frame(self, x, z):
        return 2 * self._to_tangent(x, z)


class Biased(rgen.Sphere):
    """A uniform distribution that is shifted, and the right volume."""

    def __init__(self):
        self.dim = 2

    def _uniform(self, key):
        return self._project(super()._uniform(key) + jnp.array([0.0, 0.0, 0.5]))


class Large(Biased):
    """The right uniform distribution, and a volume that is half as large again."""

    @property
    def log_volume(self):
        return super().log_volume + math.log(1.5)

    def _uniform(self, key):
        return rgen.Sphere(2).uniform(key)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "identities"),
    [
        (Biased, ["divergences have the mean zero under `uniform`"]),
        (Large, ["a ball has its share of the volume"]),
        (Drifting, ["exp ends on the manifold"]),
        (
            Turned,
            ["the connection is metric", "divergence is the growth along geodesics"],
        ),
        (Stretched, ["frame has the metric for covariance"]),
    ],
)
def test_the_contract_finds_faults(make, identities):
    with pytest.raises(AssertionError) as found:
        check_manifold(make(), jr.key(0), radius=0.5, n=8)
    for identity in identities:
        assert re.search(rf"{identity}: residual .*, tolerance", str(found.value))


class Redundant(surfaces.Stiefel):
    def constraint(self, x):
        return x.T @ x - jnp.eye(2)


def test_errors_name_the_hook():
    with pytest.raises(ValueError, match=r"expected 3 entries, .* got 4\. Leave out"):
        manifold = Redundant()
        manifold.to_tangent(manifold.origin, manifold.origin)
    surface = surfaces.TorusOfRevolution()
    for ask, message in [
        (lambda: surface.log(surface.origin, surface.origin), "defines no `_log`"),
        (lambda: surface.period, "density of a wrapped normal"),
        (
            lambda: rgen.nn.KillingFrame().size(surface),
            "needed for rgen.nn.KillingFrame",
        ),
    ]:
        with pytest.raises(NotImplementedError, match=message):
            ask()


def test_retractions_have_their_order():
    """Against the closed form on the sphere, halving the step twice."""
    sphere, geodesic = rgen.Sphere(2), rgen.Exponential()
    retraction = rgen.ProjectionRetraction()
    with jax.enable_x64(True):
        x = sphere.origin
        v = jnp.array([0.6, 0.8, 0.0])
        gap = lambda h: sphere.dist(
            retraction(sphere, x, h * v), geodesic(sphere, x, h * v)
        )
        errors = [float(gap(h)) / h**3 for h in (0.1, 0.05, 0.025)]
        # arctan(h) - h = -h^3 / 3: of order 2, with this limit.
        assert retraction.order == 2
        np.testing.assert_allclose(errors, 1 / 3, rtol=0.01)
    with pytest.raises(ValueError, match=r"Use rgen.Exponential\(\)"):
        retraction(surfaces.AngleTorus(), jnp.zeros(2), jnp.zeros(2))


@pytest.mark.parametrize(
    "surface", [rgen.Sphere(2), *slow([surfaces.SphereByEquation()])]
)
def test_steps_too_long_for_a_projection_are_a_warning(surface):
    """A step of length h falls short by h - arctan(h), and both of its remedies end
    the warning."""
    schedule = rgen.LogUniformSchedule(1e-3, 5.0)
    solver = rgen.GeodesicRandomWalk(surface, rgen.ProjectionRetraction())
    walk = lambda steps: rgen.RandomWalkKernel(surface, steps=steps, solver=solver)
    h = (5 / 20) ** 0.5
    # The chord of the gap; its length is that of the arc to a hundredth.
    gap = (h - math.atan(h)) / h
    assert walk(20).shortfall(5.0) == pytest.approx(gap, rel=0.01)
    with pytest.warns(UserWarning, match=r"fall short by 7%.*steps=\d+") as record:
        rgen.Brownian(surface, schedule, walk(20))
    steps = int(re.search(r"steps=(\d+)", str(record[0].message))[1])
    rgen.Brownian(surface, schedule, walk(steps))
    # So long that what they fall short by is no longer a square of their length.
    with pytest.warns(UserWarning, match=r"steps=\d+") as record:
        rgen.Brownian(surface, schedule, walk(1))
    steps = int(re.search(r"steps=(\d+)", str(record[0].message))[1])
    rgen.Brownian(surface, schedule, walk(steps))
    rgen.Brownian(surface, schedule, rgen.RandomWalkKernel(surface, steps=20))


class Flattened(rgen.AbstractLevelSet):
    """An ellipsoid of half axes 3, 3 and 1 whose origin is where it is flattest, or
    where it is most bent."""

    flattest: bool
    dim = 2
    point_shape = (3,)
    radius = 3.0
    crossings = 2

    @property
    def origin(self):
        return jnp.array([0.0, 0.0, 1.0] if self.flattest else [3.0, 0.0, 0.0])

    def constraint(self, x):
        return jnp.sum((x / jnp.array([3, 3, 1], x.dtype)) ** 2) - 1


@pytest.mark.slow
def test_the_warning_finds_the_smallest_radius_of_curvature():
    found = []
    for flattest in (True, False):
        surface = Flattened(flattest)
        solver = rgen.GeodesicRandomWalk(surface, rgen.ProjectionRetraction())
        kernel = rgen.RandomWalkKernel(surface, steps=80, solver=solver)
        found.append(kernel.shortfall(5.0))
    # A step of length 1/4 is 3/4 of the smallest radius, 1/3.
    h = 0.75
    assert found[1] == pytest.approx((h - math.atan(h)) / h, rel=0.1)
    assert found[0] == pytest.approx(found[1], rel=0.1)


class TooSmall(surfaces.TorusOfRevolution):
    radius = 1.0


class TooFew(surfaces.TorusOfRevolution):
    crossings = 2


class Degenerate(surfaces.SphereByEquation):
    def constraint(self, x):
        return super().constraint(x) ** 2


class Wavy(rgen.AbstractMetricManifold):
    dim = 4
    periods = (2 * math.pi,) * 4

    def metric(self, x):
        return jnp.exp(jnp.cos(14 * x[0]) / 4) * jnp.eye(4, dtype=x.dtype)


class SixAngles(rgen.AbstractMetricManifold):
    dim = 6
    periods = (2 * math.pi,) * 6

    def metric(self, x):
        return jnp.eye(6, dtype=x.dtype)


def test_volumes_that_would_be_wrong():
    with pytest.raises(ValueError, match=r"TooSmall: .*`radius` 1\.0 .*an odd number"):
        _ = TooSmall().log_volume
    with pytest.raises(
        ValueError, match=r"TooFew: .* meets it in 4\. Define crossings"
    ):
        _ = TooFew().log_volume
    with pytest.raises(ValueError, match="Degenerate: expected a"):
        _ = Degenerate().log_volume
    with pytest.raises(ValueError, match=r"Wavy: the metric varies too fast"):
        _ = Wavy().log_volume
    with pytest.raises(NotImplementedError, match=r"SixAngles: .* up to dimension 5"):
        _ = SixAngles().log_volume


def test_a_process_on_a_surface_needs_an_end():
    surface = surfaces.TorusOfRevolution()
    with pytest.raises(ValueError, match=r"rgen\.LogUniformSchedule\(1e-4, v_max\)"):
        rgen.Brownian(surface)
    process = rgen.Brownian(surface, rgen.LogUniformSchedule(1e-4, 5.0))
    assert process.remainder == 0
