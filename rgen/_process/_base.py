import abc
from typing import final

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._distribution import AbstractDistribution
from .._manifold import AbstractManifold
from .._schedule import AbstractSchedule
from .._typing import Floating, Key, Point, Scalar, Tangent, typed


class AbstractProcess(eqx.Module):
    r"""A noising process $\mathrm dX_t = \beta(t)\, b(X_t)\,\mathrm dt +
    \sqrt{\beta(t)}\,\mathrm dB^{\mathcal M}_t$, in the sense of Itô, that starts at the
    data and forgets it.

    The schedule only sets the pace: at time `t` the process has the law that it would
    have at unit speed after the accumulated variance $v = \int\beta$. The methods that
    a new process defines, those with an underscore, know of nothing but $v$.
    """

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold on which the process moves."""

    schedule: eqx.AbstractVar[AbstractSchedule]
    r"""The schedule of $\beta$."""

    prior: eqx.AbstractVar[AbstractDistribution]
    """The law that the process converges to, from which reverse processes start."""

    @property
    @abc.abstractmethod
    def rate(self) -> float:
        r"""$\lambda$ in [`score_scale`][rgen.AbstractProcess.score_scale]."""

    @final
    @typed
    def drift(self, x: Point, t: Scalar) -> Tangent:
        r"""The drift $\beta(t)\, b(x)$, a tangent vector at `x`."""
        self.manifold._check_shapes("drift", x=x)
        return self.schedule.beta(t) * self._drift(x)

    @final
    @typed
    def sample(self, x0: Point, t: Scalar, key: Key) -> Point:
        r"""A draw from the transition law $p_{t|0}(\cdot \mid x_0)$."""
        self.manifold._check_shapes("sample", x0=x0)
        return self._sample(x0, self.schedule.integral(t), key)

    @final
    @typed
    def score(self, x0: Point, x: Point, t: Scalar) -> Tangent:
        r"""The exact conditional score $\nabla_x \log p_{t|0}(x \mid x_0)$.

        Raises a `NotImplementedError` where it has no known form.
        """
        self.manifold._check_shapes("score", x0=x0, x=x)
        return self._score(x0, x, self.schedule.integral(t))

    @final
    @typed
    def score_scale(self, t: Scalar) -> Scalar:
        r"""The size of the score at time `t`,
        $\sqrt{\lambda / (e^{\lambda v} - 1)}$ with $v$ the accumulated variance: it is
        $1 / \sqrt v$ at small times, and at large times it decays with the spectral gap
        $\lambda$ of a compact manifold, or settles at that of the limit,
        $\sqrt{-\lambda}$, for a process with a confining potential."""
        return score_scale(self.rate, self.schedule.integral(t))

    @final
    @typed
    def stratified_times(self, key: Key, n: int) -> Floating[Array, " n"]:
        r"""`n` times, one uniform on each of the `n` equal parts of $[t_0, t_1]$: their
        average has a lower variance than that of independent times."""
        if n < 1:
            raise ValueError(f"stratified_times: expected `n` of at least 1, got {n}.")
        parts = (jnp.arange(n) + jr.uniform(key, (n,))) / n
        return self.schedule.t0 + (self.schedule.t1 - self.schedule.t0) * parts

    @abc.abstractmethod
    def _drift(self, x: Point) -> Tangent: ...

    @abc.abstractmethod
    def _sample(self, x0: Point, v: Scalar, key: Key) -> Point: ...

    @abc.abstractmethod
    def _score(self, x0: Point, x: Point, v: Scalar) -> Tangent: ...


def score_scale(rate: float, v: Scalar) -> Scalar:
    if rate == 0:
        return 1 / jnp.sqrt(v)
    if rate < 0:
        return jnp.sqrt(rate / jnp.expm1(rate * v))
    return jnp.exp(-rate * v / 2) * jnp.sqrt(-rate / jnp.expm1(-rate * v))
