from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from .._cost import Cost
from .._errors import require
from .._given import Given
from .._manifold import AbstractManifold
from .._process import AbstractProcess
from .._sampler._base import walked
from .._typing import Key, Point, Scalar, typed
from .._velocity import TwoTimeField, flow_map, process_time
from ._base import AbstractModel
from ._flow_map import check_times


class ConsistencyModel(AbstractModel):
    r"""A model that samples in a few network evaluations, with fresh noise between
    them. A field $v$ of two times gives the map from the time $u$ to data, $X_{u,1}(x)
    = \exp_x((1 - u)\, v(x, u, 1))$ (Song et al., *Consistency Models*, 2023, Algorithm
    1; on manifolds Cheng et al., *Riemannian Consistency Model*, 2025).

    $X_{0,1}$ leads noise to data. At each of the `times` $u$ in between, the sample
    gets the noise that data have at that time, by a transition of the noising process,
    `process.kernel.sample`, and $X_{u,1}$ leads it to data again. The transition is
    exact where the kernel is; a random walk passes no gradient. With one step it is
    [`rgen.FlowMap`][], which takes the same field, trained in the same way.

    Errors of a step that are smaller than the noise after it are hidden by that noise,
    where [`rgen.FlowMap`][] passes them on. Unlike that model, it has no density.

    **Arguments:**

    - `process`: the noising process of the field.
    - `field`: the field, a function of a point and two times; for a conditional model
        of a condition too.
    - `times`: the times from 0 to 1, one evaluation for each but the last.
    """

    process: AbstractProcess
    field: TwoTimeField
    times: tuple[float, ...] = eqx.field(static=True)

    @typed
    def __init__(
        self,
        process: AbstractProcess,
        field: TwoTimeField,
        times: tuple[float, ...] = (0.0, 0.5, 1.0),
    ):
        self.process = process
        self.field = field
        self.times = times

    def __check_init__(self):
        check_times("ConsistencyModel", self.times)

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the process."""
        return self.process.manifold

    @typed
    def given(self, c: Any) -> "ConsistencyModel":
        """The model given the condition `c`. For one condition a point,
        [`rgen.sample`][] takes `given=conditions`."""
        return eqx.tree_at(lambda m: m.field, self, Given(self.field, c))

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        start, *between, _ = self.times
        prior_key, noise_key = jr.split(key)
        x, cost = self.process.prior.sample_and_cost(prior_key)
        x = self._to_data(x, start)
        for u, each in zip(between, jr.split(noise_key, len(between)), strict=True):
            x = self._to_data(self._noised(x, u, each), u)
        steps = jnp.array(len(self.times) - 1)
        x, own = walked(x, steps, steps)
        return x, cost + own

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        """Raises a `NotImplementedError`."""
        raise NotImplementedError(
            "ConsistencyModel: its density is not known. Take rgen.FlowMap("
            "process.prior, field, times), which has that of its own samples."
        )

    def _to_data(self, x, u):
        s, t = jnp.asarray(u, x.dtype), jnp.ones((), x.dtype)
        return flow_map(self.manifold, self.field, x, s, t)

    def _noised(self, x, u, key):
        # Samples have the noise of `t0` already.
        schedule = self.process.schedule
        t = process_time(schedule, jnp.asarray(u, x.dtype))
        t0 = jnp.asarray(schedule.t0, x.dtype)
        added = schedule.variance(t) - schedule.variance(t0)
        what = (
            f"ConsistencyModel: expected `times` at which there is more noise than at "
            f"1.0, between its ends, got {self.times} (take some farther from 1.0)"
        )
        added = require(jnp.all(added > 0), added, what)
        return self.process.kernel.sample(x, added, key)
