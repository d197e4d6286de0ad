from .._process import AbstractProcess
from .._typing import Scalar, typed


@typed
def likelihood_weight(process: AbstractProcess, t: Scalar) -> Scalar:
    r"""$\beta(t)$: so weighted, the error of the score bounds the Kullback-Leibler
    divergence of the law $q$ of the reversed process from the data $p$,

    $$\mathrm{KL}(p \,\|\, q) \le \mathrm{KL}(p_{t_1} \,\|\, p_\infty) +
    \frac{1}{2} \int_{t_0}^{t_1} \beta(t)\,
    \mathbb E\, |s(x_t, t) - \nabla \log p_t(x_t)|^2\, \mathrm dt$$

    (Song et al. 2021, Theorem 1). The expectation of a loss is that error plus
    what does not depend on $s$. The bound is not one for [`rgen.log_prob`][], the
    density of the law of the probability flow."""
    return process.schedule.beta(t)


@typed
def variance_weight(process: AbstractProcess, t: Scalar) -> Scalar:
    r"""The inverse square of [`rgen.AbstractProcess.score_scale`][]: with this weight
    the denoising loss is of order one at every time."""
    return 1 / process.score_scale(t) ** 2
