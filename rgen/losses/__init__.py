r"""Losses: pure functions of one point, its times and one key.

Those of score matching are minimised, over all fields, by the score $\nabla\log p_t$ of
the noised data, at every time and so with every positive weight. Others are those of a
flow and of a flow map. A training step is the caller's:

    t = process.stratified_times(time_key, len(x0))
    weight = rgen.losses.variance_weight
    loss = partial(rgen.losses.denoising, score, process, weight=weight)
    jnp.mean(jax.vmap(loss)(x0, t, keys))

A weight is a function of the process and a time. The losses apply it before they square
or differentiate, so that they stay finite where the weight is huge and the score tiny.
"""

from ._denoising import denoising as denoising
from ._denoising_step import denoising_step as denoising_step
from ._eulerian import eulerian as eulerian
from ._flow_matching import flow_matching as flow_matching
from ._implicit import implicit as implicit
from ._lagrangian import lagrangian as lagrangian
from ._semigroup import semigroup as semigroup
from ._sliced import sliced as sliced
from ._weights import (
    likelihood_weight as likelihood_weight,
    unit_weight as unit_weight,
    variance_weight as variance_weight,
)
