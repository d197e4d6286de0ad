import math
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .._errors import require
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
    the likelihood at one point. How uncertain $x_0$ is, $u = v / (1 + v)$ for data of
    variance one, it knows by the `width` $w$ of the likelihood alone, as a factor
    $w^2 / (w^2 + u)$: a normal observation of the variance $w^2$ becomes one of
    $w^2 + u$. Samples of [`rgen.Guided`][] with it are biased;
    [`rgen.TwistedSampler`][] corrects the bias.

    **Arguments:**

    - `score`: the score field of the prior.
    - `process`: its noising process.
    - `log_likelihood`: $\log p(c \mid x_0)$, up to a constant: a function of a point
        that returns a scalar.
    - `width`: the standard deviation of what is observed, as a distance on the
        manifold. By default infinite: the likelihood is taken as it is.
    """

    score: ScoreFunction
    process: AbstractProcess
    log_likelihood: Callable[[Point], Scalar]
    width: Scalar

    @typed
    def __init__(
        self,
        score: ScoreFunction,
        process: AbstractProcess,
        log_likelihood: Callable[[Point], Scalar],
        width: Scalar | float = math.inf,
    ):
        self.score = score
        self.process = process
        self.log_likelihood = log_likelihood
        width = jnp.asarray(width, process.manifold.origin.dtype)
        what = "Reconstruction: expected `width` to be positive"
        self.width = require(width > 0, width, what)

    @typed
    def __call__(self, x: Point, t: Scalar) -> Scalar:
        """The log-likelihood of the denoised estimate at the point `x` and the time
        `t`."""
        manifold = self.process.manifold
        score = manifold.to_tangent(x, evaluate_field(self.score, manifold, x, t))
        value = scalar(self.log_likelihood(self.process.denoised(x, t, score)))
        return self._share(t).astype(x.dtype) * value

    def _share(self, t: Scalar) -> Scalar:
        """Of the likelihood, what is counted at the time `t`."""
        v = self.process.schedule.variance(t)
        rates = jnp.maximum(jnp.array(self.process.rate), 0)
        uncertain = jnp.max(v / (1 + v))
        return jnp.min(jnp.exp(-rates * v / 2)) / (1 + uncertain / self.width**2)
