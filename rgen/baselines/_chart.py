import abc

import equinox as eqx
import jax
from jaxtyping import Array

from .._manifold._base import AbstractManifold
from .._manifold._euclidean import Euclidean
from .._numerics import log_sum_exp
from .._typing import Floating, Key, Point, Scalar, typed
from ..distributions._base import AbstractDistribution, on_manifold


class AbstractChart(eqx.Module):
    r"""A map $\phi: \mathbb R^d \to \mathcal M$ that carries laws of Euclidean space to
    a manifold. It need not be one to one."""

    manifold: eqx.AbstractVar[AbstractManifold]
    """The manifold."""

    @abc.abstractmethod
    def to_manifold(self, y: Floating[Array, " dim"]) -> Point:
        r"""$\phi(y)$."""

    @abc.abstractmethod
    def to_chart(self, x: Point) -> Floating[Array, " dim"]:
        r"""The shortest $y$ with $\phi(y) = x$."""

    @abc.abstractmethod
    def preimages(self, x: Point) -> Floating[Array, "n dim"]:
        r"""All $y$ with $\phi(y) = x$ that matter, `to_chart(x)` among them."""

    @abc.abstractmethod
    def log_det(self, y: Floating[Array, " dim"]) -> Scalar:
        r"""$\log |\det \mathrm d\phi_y|$, to orthonormal bases of the tangent space."""


def in_chart(
    chart: AbstractChart, y: Floating[Array, " dim"]
) -> Floating[Array, " dim"]:
    """`y`, which is required to have as many coordinates as the chart."""
    if len(y) != chart.manifold.dim:
        raise ValueError(
            f"{type(chart).__name__}: expected `y` of shape {(chart.manifold.dim,)}, "
            f"as the chart is one of {chart.manifold}, got {y.shape}."
        )
    return y


class Pushforward(AbstractDistribution):
    r"""The law of $\phi(Y)$ for a chart $\phi$ and $Y$ drawn from a law of Euclidean
    space:

    $$p(x) = \sum_{y\,:\,\phi(y) = x} \frac{p_Y(y)}{|\det \mathrm d\phi_y|}.$$

    **Arguments:**

    - `chart`: [`rgen.baselines.StereographicChart`][] or
        [`rgen.baselines.ExponentialChart`][].
    - `law`: a law on `rgen.Euclidean(chart.manifold.dim)`.
    """

    chart: AbstractChart
    law: AbstractDistribution

    @typed
    def __init__(self, chart: AbstractChart, law: AbstractDistribution):
        flat = Euclidean(chart.manifold.dim)
        if law.manifold != flat:
            raise ValueError(
                f"Pushforward: expected `law` to be one on {flat}, as the chart is one "
                f"of {chart.manifold}, got one on {law.manifold}."
            )
        self.chart = chart
        self.law = law

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the chart."""
        return self.chart.manifold

    @typed
    def log_prob(self, x: Point) -> Scalar:
        x = on_manifold(self.manifold, x)
        one = lambda y: self.law.log_prob(y) - self.chart.log_det(y)
        return log_sum_exp(jax.vmap(one)(self.chart.preimages(x)))

    @typed
    def sample(self, key: Key) -> Point:
        return self.chart.to_manifold(self.law.sample(key))
