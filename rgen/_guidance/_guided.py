from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._term import ScoreFunction
from .._typing import Point, Scalar, Tangent, typed


class Guided(eqx.Module):
    r"""The score of a posterior, by Bayes' rule at every time,
    $\nabla\log p_t(x \mid c) = s(x, t) + \nabla\log p_t(c \mid x)$ (Dhariwal and Nichol
    2021, classifier guidance).

    Exact where $p_t(c \mid x)$ is the likelihood given the *noised* point. Where only
    that of the clean point is known, [`rgen.Reconstruction`][] approximates it, and
    [`rgen.TwistedSampler`][] corrects the approximation.

    **Arguments:**

    - `score`: the score field of the prior $p_t(x)$.
    - `manifold`: the manifold.
    - `log_likelihood`: $\log p_t(c \mid x)$ for the given $c$, up to a constant: a
        function of a point and a time that returns a scalar.
    """

    score: ScoreFunction
    manifold: AbstractManifold
    log_likelihood: Callable[[Point, Scalar], Scalar]

    @typed
    def __call__(self, x: Point, t: Scalar) -> Tangent:
        """The score of the posterior at the point `x` and the time `t`, a tangent
        vector at `x`."""
        at_t = lambda y: scalar(self.log_likelihood(y, t))
        return self.score(x, t) + self.manifold.gradient(at_t, x)


def scalar(log_likelihood: Any) -> Scalar:
    if jnp.shape(log_likelihood) != ():
        raise ValueError(
            "guidance: expected `log_likelihood` to return a scalar, got an array of "
            f"shape {jnp.shape(log_likelihood)}. Independent observations add: sum it."
        )
    return log_likelihood
