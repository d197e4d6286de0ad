import jax.numpy as jnp

from .._cost import Cost
from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, typed
from ._base import AbstractSampler, walked


class Denoised(AbstractSampler):
    r"""Another sampler, and a denoising step at its end, by
    [`process.denoised`][rgen.AbstractProcess.denoised]: for Brownian motion $x
    \leftarrow \exp_x(v\, s(x, t_0))$ with the variance $v$ that has accumulated at
    $t_0$; for an Ornstein-Uhlenbeck process the mean of the data given the sample.

    Samples have noise of the variance $v$; this removes it, for one more evaluation.
    Use it when the noise is visible, as in plots and in distances to the nearest data
    point. The density of a [`rgen.ScoreModel`][] stays that at $t_0$, with the noise.

    **Arguments:**

    - `sampler`: the sampler whose samples are denoised.
    """

    sampler: AbstractSampler

    @typed
    def __init__(self, sampler: AbstractSampler):
        self.sampler = sampler

    @typed
    def __call__(
        self, score: ScoreFunction, process: AbstractProcess, x: Point, key: Key
    ) -> tuple[Point, Cost]:
        end, cost = self.sampler(score, process, x, key)
        t0, manifold = jnp.asarray(process.schedule.t0, x.dtype), process.manifold
        s = manifold.to_tangent(end, evaluate_field(score, manifold, end, t0))
        denoised = process.denoised(end, t0, s)
        denoised, own = walked(denoised, jnp.array(1), jnp.array(0))
        return denoised, cost + own
