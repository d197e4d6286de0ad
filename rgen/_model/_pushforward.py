import jax

from .._chart import AbstractChart
from .._distribution import AbstractDistribution
from .._distribution._base import on_manifold
from .._manifold import AbstractManifold, Euclidean
from .._numerics import log_sum_exp
from .._typing import Key, Point, Scalar, typed


class Pushforward(AbstractDistribution):
    r"""The law of $\phi(Y)$ for a chart $\phi$ and $Y$ drawn from a law of Euclidean
    space:

    $$p(x) = \sum_{y\,:\,\phi(y) = x} \frac{p_Y(y)}{|\det \mathrm d\phi_y|}.$$

    **Arguments:**

    - `chart`: [`rgen.StereographicChart`][] or
        [`rgen.ExponentialChart`][].
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
