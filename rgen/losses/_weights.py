from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array

from .._process import AbstractProcess
from .._typing import Floating, Scalar, typed


# Of a process and a time: a number, or one for each factor of a product.
Weight: TypeAlias = Callable[[AbstractProcess, Scalar], Floating[Array, "..."]]


@typed
def unit_weight(process: AbstractProcess, t: Scalar) -> Floating[Array, "..."]:
    """One at every time."""
    return jnp.ones_like(process.schedule.beta(t))


@typed
def likelihood_weight(process: AbstractProcess, t: Scalar) -> Floating[Array, "..."]:
    r"""$\beta(t)$: so weighted, the error of the score bounds the Kullback-Leibler
    divergence of the distribution $q$ of the reversed process from the data $p$,

    $$\mathrm{KL}(p \,\|\, q) \le \mathrm{KL}(p_{t_1} \,\|\, p_\infty) +
    \frac{1}{2} \int_{t_0}^{t_1} \beta(t)\,
    \mathbb E\, |s(x_t, t) - \nabla \log p_t(x_t)|^2\, \mathrm dt$$

    (Song et al. 2021, Theorem 1). The expectation of a loss is that error plus
    what does not depend on $s$. The bound is not one for the density of a
    [`rgen.ScoreModel`][], which is that of the probability flow."""
    return process.schedule.beta(t)


@typed
def variance_weight(process: AbstractProcess, t: Scalar) -> Floating[Array, "..."]:
    r"""The inverse square of [`rgen.AbstractProcess.score_scale`][]: with this weight
    the denoising loss is of order one at every time."""
    return 1 / process.score_scale(t) ** 2


def root(weight: Weight, process: AbstractProcess, t: Scalar) -> Floating[Array, "..."]:
    """The square root of the weight, to multiply tangent vectors with: a vector is
    scaled before it is squared, so that a large weight of a small square is finite."""
    return process.broadcast(jnp.sqrt(weight(process, t)))
