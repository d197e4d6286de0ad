import itertools
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._cost import Cost
from .._distribution import AbstractDistribution
from .._given import Given
from .._manifold import AbstractManifold
from .._sampler._base import walked
from .._typing import Key, Point, Scalar, typed
from .._velocity import (
    NEWTON_STEPS,
    TwoTimeField,
    flow_map,
    flow_map_and_jacobian,
    inverse_flow_map,
)
from ._base import AbstractModel, require_finished


class FlowMap(AbstractModel):
    r"""A model that samples in a few network evaluations: the distribution of
    $X_{u_{k-1},u_k} \circ \dots \circ X_{u_0,u_1}(x)$ for $x$ sampled from `base`, with
    the maps $X_{s,t}(x) = \exp_x((t - s)\, v(x, s, t))$ of a field of two times (Boffi
    et al., *Flow Map Matching*, 2024; on manifolds Davis et al., *Generalised Flow
    Maps*, 2025).

    Train the field by [`rgen.losses.lagrangian`][]. In our experiments maps that were
    trained by [`rgen.losses.semigroup`][] ended farther from the teacher, and by
    [`rgen.losses.eulerian`][] nothing was learnt.

    The density of a sample follows from the change of variables,

    $$\log p(X(x)) = \log p_0(x) - \log|\det \mathrm dX(x)|,$$

    exactly where the maps are one-to-one, and else a lower bound: that is
    `sample_and_log_prob`. For a given point the maps are inverted by Newton's method,
    from where the maps back to earlier times lead: for that, train the field at pairs
    of times in both orders. Where the inverse does not map back to the point, to half
    of the digits of its dtype, `log_prob` is NaN; `log_prob_and_error` has the density
    at the endpoint in any case, and its distance from the point. Inversion needs `log`.

    **Arguments:**

    - `base`: the distribution at time 0: `process.prior`.
    - `field`: the field, a function of a point and two times; for a conditional model
        of a condition too.
    - `times`: the times from 0 to 1, one evaluation for each step between them.
    """

    base: AbstractDistribution
    field: TwoTimeField
    times: tuple[float, ...] = eqx.field(static=True)

    @typed
    def __init__(
        self,
        base: AbstractDistribution,
        field: TwoTimeField,
        times: tuple[float, ...] = (0.0, 1.0),
    ):
        self.base = base
        self.field = field
        self.times = times

    def __check_init__(self):
        check_times("FlowMap", self.times)

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the base."""
        return self.base.manifold

    @typed
    def given(self, c: Any) -> "FlowMap":
        """The model given the condition `c`. For one condition a point,
        [`rgen.sample`][] and [`rgen.log_prob`][] take `given=conditions`."""
        return eqx.tree_at(lambda m: m.field, self, Given(self.field, c))

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        x, cost = self.base.sample_and_cost(key)
        for s, t in self._pairs(x):
            x = flow_map(self.manifold, self.field, x, s, t)
        x, own = walked(x, self._steps, self._steps)
        return x, cost + own

    @typed
    def sample_and_log_prob(self, key: Key) -> tuple[Point, Scalar]:
        r"""A sample $x$ of $p$, and $\log p(x)$."""
        x, log_prob = self._push(*self.base.sample_and_log_prob(key))
        x, cost = walked(x, self._steps, self._steps)
        return require_finished(cost, x), require_finished(cost, log_prob)

    @typed
    def log_prob_and_error(self, x: Point) -> tuple[Scalar, Scalar]:
        r"""Maps `x` to the base and back: $\log p$ at the endpoint, and its distance
        from `x`."""
        log_prob, error, _ = self._round_trip(x, None)
        return log_prob, error

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        log_prob, error, base_cost = self._round_trip(x, key)
        scale = jnp.maximum(1, jnp.max(jnp.abs(x)))
        near = error < jnp.finfo(x.dtype).eps ** 0.5 * scale
        # One map back, Newton's steps, and one map with its determinant.
        cost = Cost((2 + NEWTON_STEPS) * self._steps, self._steps, near)
        return jnp.where(near, log_prob, jnp.nan), base_cost + cost

    def _pairs(self, x):
        times = [jnp.asarray(t, x.dtype) for t in self.times]
        return list(itertools.pairwise(times))

    def _round_trip(self, x, key):
        z = x
        for s, t in reversed(self._pairs(x)):
            z = inverse_flow_map(self.manifold, self.field, z, s, t)
        start, cost = self.base.log_prob_and_cost(z, key)
        y, log_prob = self._push(z, start)
        return log_prob, self.manifold.dist(x, y), cost

    def _push(self, x, log_prob):
        for s, t in self._pairs(x):
            x, jacobian = flow_map_and_jacobian(self.manifold, self.field, x, s, t)
            log_prob = log_prob - jnp.linalg.slogdet(jacobian)[1]
        return x, log_prob

    @property
    def _steps(self):
        return jnp.array(len(self.times) - 1)


def check_times(where: str, times: tuple[float, ...]) -> None:
    rising = all(s < t for s, t in itertools.pairwise(times))
    if not (rising and times[:1] == (0,) and times[-1:] == (1,)):
        raise ValueError(
            f"{where}: expected `times` to rise from 0.0, at noise, to 1.0, at data, "
            f"got {times}. Two steps are (0.0, 0.5, 1.0)."
        )
