import abc
import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._distribution import AbstractDistribution
from .._kernel import AbstractKernel
from .._manifold import AbstractManifold, Power, Product
from .._schedule import AbstractSchedule, LogUniformSchedule
from .._typing import Floating, Key, Point, Scalar, Tangent, typed


class AbstractProcess(eqx.Module):
    r"""A noising process $\mathrm dX_t = \beta(t)\, b(X_t)\,\mathrm dt +
    \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$, in the sense of Itô, that starts at the
    data and forgets it.

    The schedule only sets the pace: at time `t` the process has the distribution that
    it would have at unit speed after the accumulated variance $v = \int\beta$, which is
    that of its transition kernel.

    Speeds and variances are numbers; those of a [`rgen.ProductProcess`][] are arrays
    with one number for each factor, which
    [`broadcast`][rgen.AbstractProcess.broadcast] makes fit for tangent vectors.

    A process of your own has the fields below, or properties of their names, and
    defines the drift at unit speed, `_drift(x)`, a tangent vector at `x`. Where the
    kernel is a random walk with that drift, make it a property, as [`rgen.Langevin`][]
    does: a field would hold the process that holds it.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold on which the process moves."""

    schedule: eqx.AbstractVar[AbstractSchedule]
    r"""The schedule of $\beta$."""

    kernel: eqx.AbstractVar[AbstractKernel]
    """The transition kernel at unit speed, or an approximation to it."""

    prior: eqx.AbstractVar[AbstractDistribution]
    """The distribution that the process converges to, from which samplers start."""

    rate: eqx.AbstractVar[float | tuple[float, ...]]
    r"""$\lambda$ in [`score_scale`][rgen.AbstractProcess.score_scale]: the spectral gap
    for Brownian motion, minus the curvature of a confining potential, 0 where it is not
    known; one for each factor of a product."""

    @final
    @typed
    def drift(self, x: Point, t: Scalar) -> Tangent:
        r"""The drift $\beta(t)\, b(x)$, a tangent vector at `x`."""
        self.manifold._check_shapes("drift", x=x)
        return self.broadcast(self.schedule.beta(t)) * self._drift(x)

    @final
    @typed
    def sample(self, x0: Point, t: Scalar, key: Key) -> Point:
        r"""A sample of the transition kernel $p_{t|0}(\cdot \mid x_0)$."""
        self.manifold._check_shapes("sample", x0=x0)
        return self.kernel.sample(x0, self.schedule.variance(t), key)

    @final
    @typed
    def score(self, x0: Point, x: Point, t: Scalar) -> Tangent:
        r"""The conditional score $\nabla_x \log p_{t|0}(x \mid x_0)$ of the kernel.

        Raises a `NotImplementedError` where the kernel has none.
        """
        self.manifold._check_shapes("score", x0=x0, x=x)
        return self.kernel.score(x0, x, self.schedule.variance(t))

    @final
    @typed
    def denoised(self, x: Point, t: Scalar, score: Tangent) -> Point:
        r"""An estimate of the data point from the noised point `x` and the score of
        $p_t$ there: $\exp_x(v\, \nabla \log p_t(x))$ for Brownian motion, with $v$ the
        accumulated variance. In Euclidean space it is the mean
        $\mathbb E[x_0 \mid x_t = x]$ (Tweedie's formula), elsewhere it comes near a
        mean as $v$ becomes small."""
        self.manifold._check_shapes("denoised", x=x, score=score)
        return self._denoised(x, self.schedule.variance(t), score)

    @final
    @typed
    def score_scale(self, t: Scalar) -> Floating[Array, "..."]:
        r"""The size of the score at time `t`,
        $\sqrt{\lambda / (e^{\lambda v} - 1)}$ with $v$ the accumulated variance: it is
        $1 / \sqrt v$ at small times, and at large times it decays with the spectral gap
        $\lambda$ of a compact manifold, or settles at that of the prior,
        $\sqrt{-\lambda}$, for a process with a confining potential.

        It does not fall below $e^{-30} \sqrt\lambda$, where nothing is left of the data
        and its inverse square would soon overflow."""
        return score_scale(self.rate, self.schedule.variance(t))

    @final
    def broadcast(self, each: Floating[Array, "..."]) -> Floating[Array, "..."]:
        """A number, or one for each factor of a product, as an array that multiplies
        points and tangent vectors."""
        return broadcast(self.manifold, each)

    @final
    @typed
    def stratified_times(self, key: Key, n: int) -> Floating[Array, " n"]:
        r"""`n` times, one uniform on each of the `n` equal parts of $[t_0, t_1]$: their
        average has a lower variance than that of independent times."""
        if n < 1:
            raise ValueError(f"stratified_times: expected `n` of at least 1, got {n}.")
        parts = (jnp.arange(n) + jr.uniform(key, (n,))) / n
        return self.schedule.t0 + (self.schedule.t1 - self.schedule.t0) * parts

    @final
    @typed
    def time_grid(self, steps: int) -> Floating[Array, " times"]:
        r"""`steps + 1` times from $t_1$ down to $t_0$, at equal steps of the logarithm
        of the variance: the last step of a sampler then adds noise of about
        $\log(v_1 / v_0) / \mathrm{steps}$ times the variance $v_0$ at $t_0$."""
        if steps < 1:
            raise ValueError(f"expected `steps` of at least 1, got {steps}.")
        ends = jnp.array([self.schedule.t1, self.schedule.t0])
        first, last = jax.vmap(self.schedule.variance)(ends)
        log_v = jnp.linspace(jnp.log(first), jnp.log(last), steps + 1)
        times = jax.vmap(self.schedule.time)(jnp.exp(log_v))
        # The ends themselves, without rounding.
        return times.at[jnp.array([0, -1])].set(ends)

    @final
    @property
    def remainder(self) -> float:
        r"""What is left of the data at $t_1$, $e^{-|\lambda| v(t_1) / 2}$: how much of
        the slowest mode a sampler that starts from the prior leaves out. Zero where
        $\lambda$ is not known."""
        with jax.ensure_compile_time_eval():
            rate = jnp.abs(jnp.array(self.rate))
            v = self.schedule.variance(jnp.array(self.schedule.t1))
            left = jnp.where(rate == 0, 0, jnp.exp(-rate * v / 2))
            return float(jnp.max(left))

    @abc.abstractmethod
    def _drift(self, x: Point) -> Tangent:
        """The drift at unit speed."""

    def _denoised(self, x: Point, v: Floating[Array, "..."], score: Tangent) -> Point:
        """The estimate of the data point, from the accumulated variance."""
        return self.manifold.exp(x, self.broadcast(v) * score)


def broadcast(
    manifold: AbstractManifold, each: Floating[Array, "..."]
) -> Floating[Array, "..."]:
    if each.ndim == 0:
        return each
    # The copies of a product share its numbers.
    if isinstance(manifold, Power):
        return broadcast(manifold.manifold, each)
    assert isinstance(manifold, Product)
    sizes = jnp.array([math.prod(m.point_shape) for m in manifold.manifolds])
    return jnp.repeat(each, sizes, total_repeat_length=math.prod(manifold.point_shape))


# What is left of the data at e^{-30} of it is below the rounding error of anything.
_FORGOTTEN = 60.0


def score_scale(
    rate: float | tuple[float, ...], v: Floating[Array, "..."]
) -> Floating[Array, "..."]:
    if isinstance(rate, tuple):
        pairs = zip(rate, v, strict=True)
        return jnp.stack([score_scale(rate, v) for rate, v in pairs])
    if rate == 0:
        return 1 / jnp.sqrt(v)
    if rate < 0:
        return jnp.sqrt(rate / jnp.expm1(rate * v))
    v = jnp.minimum(v, _FORGOTTEN / rate)
    return jnp.exp(-rate * v / 2) * jnp.sqrt(-rate / jnp.expm1(-rate * v))


def with_end(schedule: AbstractSchedule | None, rate: float) -> AbstractSchedule:
    """The schedule, or the default one, ending when a process that forgets at that rate
    has forgotten the data."""
    schedule = LogUniformSchedule() if schedule is None else schedule
    if rate != 0:
        return schedule.ending(10 / abs(rate))
    if schedule.ending(1.0) == schedule:
        return schedule
    raise ValueError(
        "expected a `schedule` with an end, as how fast the process forgets is not "
        "known. Give one, rgen.LogUniformSchedule(1e-4, v_max): for Brownian motion, "
        "with ten over the smallest positive eigenvalue of minus the Laplacian, which "
        "a manifold may define as `spectral_gap`; for Langevin dynamics, with ten "
        "times the variance of the prior."
    )
