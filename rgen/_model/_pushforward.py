import jax
import jax.random as jr

from .._chart import AbstractChart
from .._cost import Cost, total
from .._distribution import AbstractDistribution
from .._manifold import AbstractManifold
from .._numerics import log_sum_exp
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractModel


class Pushforward(AbstractModel):
    r"""The distribution of $\phi(Y)$ for a chart $\phi$ and $Y$ sampled from a
    distribution on its domain:

    $$p(x) = \sum_{y\,:\,\phi(y) = x} \frac{p_Y(y)}{|\det \mathrm d\phi_y|}.$$

    **Arguments:**

    - `chart`: [`rgen.StereographicChart`][] or [`rgen.ExponentialChart`][], or
        [`rgen.AffineChart`][] for units.
    - `base`: a distribution on `chart.domain`, for the first two
        `rgen.Euclidean(chart.manifold.dim)`.
    """

    chart: AbstractChart
    base: AbstractDistribution

    @typed
    def __init__(self, chart: AbstractChart, base: AbstractDistribution):
        if base.manifold != chart.domain:
            raise ValueError(
                f"Pushforward: expected `base` on {chart.domain}, for a chart of "
                f"{chart.manifold}, got one on {base.manifold}."
            )
        self.chart = chart
        self.base = base

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the chart."""
        return self.chart.manifold

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        y = self.chart.preimages(x)
        keys = None if key is None else jr.split(key, len(y))
        log_probs, costs = jax.vmap(self.base.log_prob_and_cost)(y, keys)
        return log_sum_exp(log_probs - jax.vmap(self.chart.log_det)(y)), total(costs)

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        y, cost = self.base.sample_and_cost(key)
        return self.chart.to_manifold(y), cost
