from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .._errors import require
from .._term import ScoreFunction
from .._typing import Point, Scalar, Tangent, typed


class ClassifierFreeGuidance(eqx.Module):
    r"""Classifier-free guidance, $s(x, t) = (1 - w)\, s_u(x, t) + w\, s_c(x, t)$ with
    a conditional and an unconditional score (Ho and Salimans 2022, equation 6, whose
    weight is $w - 1$).

    It is the score of the condition for $w = 1$. Larger weights sharpen what tells the
    condition apart. They are the scores of $p_t(x)^{1 - w}\, p_t(x \mid c)^w$ at each
    time, which no noising process connects: for $w \ne 1$ the samples follow no
    distribution that is known in closed form.

    **Arguments:**

    - `conditional`, `unconditional`: score fields, functions of a point and a time. Of
        one field that is both, see [`rgen.nn.Droppable`][], they are
        `score.given((c, True))` and `score.given((c, False))`.
    - `weight`: the weight $w$, a number or a function of the time, not negative.
    """

    conditional: ScoreFunction
    unconditional: ScoreFunction
    weight: Scalar | Callable[[Scalar], Scalar]

    @typed
    def __init__(
        self,
        conditional: ScoreFunction,
        unconditional: ScoreFunction,
        weight: float | Scalar | Callable[[Scalar], Scalar],
    ):
        self.conditional = conditional
        self.unconditional = unconditional
        self.weight = weight if callable(weight) else _not_negative(weight)

    @typed
    def __call__(self, x: Point, t: Scalar) -> Tangent:
        """The guided score at the point `x` and the time `t`, a tangent vector at
        `x`."""
        weight = self.weight(t) if callable(self.weight) else self.weight
        base = self.unconditional(x, t)
        return base + weight.astype(base.dtype) * (self.conditional(x, t) - base)


def _not_negative(weight: float | Scalar) -> Scalar:
    weight = jnp.asarray(weight, jnp.result_type(float))
    what = "ClassifierFreeGuidance: expected `weight` not to be negative"
    return require(weight >= 0, weight, what)
