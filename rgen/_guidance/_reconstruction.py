from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Point, Scalar, typed
from ._guided import scalar


class Reconstruction(eqx.Module):
    r"""The likelihood of the *clean* point, at the denoised estimate of it:
    $\log p(c \mid \hat x_0(x, t))$ with $\hat x_0$ from
    [`denoised`][rgen.AbstractProcess.denoised] (Chung et al. 2023, *Diffusion posterior
    sampling*; on manifolds with the exponential map in the place of Tweedie's formula).

    On a compact manifold it is multiplied by $e^{-\lambda v / 2}$, what is left of the
    slowest mode of the data: the estimate is near $x$ itself where all is forgotten,
    and the likelihood of a point whose data are anywhere is constant.

    It approximates $\log p_t(c \mid x) = \log \mathbb E[p(c \mid x_0) \mid x_t = x]$ by
    the likelihood at one point, which ignores how uncertain $x_0$ is. Samples of
    [`rgen.Guided`][] with it are biased, the more the narrower the likelihood is
    against the noise; [`rgen.TwistedSampler`][] has no such bias.

    **Arguments:**

    - `score`: the score field of the prior.
    - `process`: its noising process.
    - `log_likelihood`: $\log p(c \mid x_0)$, up to a constant: a function of a point
        that returns a scalar.
    """

    score: ScoreFunction
    process: AbstractProcess
    log_likelihood: Callable[[Point], Scalar]

    @typed
    def __call__(self, x: Point, t: Scalar) -> Scalar:
        """The log-likelihood of the denoised estimate at the point `x` and the time
        `t`."""
        manifold = self.process.manifold
        score = manifold.to_tangent(x, evaluate_field(self.score, manifold, x, t))
        value = scalar(self.log_likelihood(self.process.denoised(x, t, score)))
        return self._remaining(t).astype(x.dtype) * value

    def _remaining(self, t: Scalar) -> Scalar:
        rates = jnp.maximum(jnp.array(self.process.rate), 0)
        return jnp.min(jnp.exp(-rates * self.process.schedule.variance(t) / 2))
