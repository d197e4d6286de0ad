r"""Score-matching losses: pure functions of one point, one time and one key.

Each is minimised, over all fields, by the score $\nabla\log p_t$ of the noised data, at
every time and so with every positive weight. A training step is the caller's:

    t = process.stratified_times(time_key, len(x0))
    loss = partial(rgen.losses.denoising, score, process)
    weight = jax.vmap(partial(rgen.losses.variance_weight, process))(t)
    jnp.mean(weight * jax.vmap(loss)(x0, t, keys))
"""

import jax
import jax.numpy as jnp
import jax.random as jr

from ._divergence import AbstractDivergence, ExactDivergence
from ._process._base import AbstractProcess
from ._target import AbstractTarget, Exact
from ._term import ScoreFunction, evaluate_field
from ._typing import Key, Point, Scalar, typed
from .distributions._base import AbstractDistribution


__all__ = [
    "denoising",
    "denoising_step",
    "flow_matching",
    "implicit",
    "likelihood_weight",
    "sliced",
    "variance_weight",
]


@typed
def denoising(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    target: AbstractTarget = Exact(),  # noqa: B008 (a constant)
) -> Scalar:
    r"""The denoising loss $|s(x_t, t) - \nabla\log p_{t|0}(x_t \mid x_0)|^2$ with
    $x_t \sim p_{t|0}(\cdot \mid x_0)$ (De Bortoli et al. 2022, Table 2).

    **Arguments:**

    - `score`: the score field, a function of a point and a time.
    - `process`: the noising process.
    - `x0`, `t`, `key`: one data point, one time, one random key.
    - `target`: how the conditional score is computed: [`rgen.Exact`][],
        [`rgen.Truncated`][] or [`rgen.Varadhan`][].
    """
    x = process.sample(x0, t, key)
    error = evaluate_field(score, process.manifold, x, t) - target(process, x0, x, t)
    return process.manifold.inner(x, error, error)


@typed
def denoising_step(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    steps: int = 100,
) -> Scalar:
    r"""The denoising loss along the last step of a geodesic random walk to time `t`,
    $|s(x_t, t) - \delta^{-1} \log_{x_t} \exp_{x_s}(\delta\, b(x_s))|^2$, where
    $x_t$ is one step of variance $\delta = v_t / \mathrm{steps}$ away from $x_s$ (the
    loss $\ell_{t|s}$ of De Bortoli et al. 2022, Table 2).

    It needs no transition density, and its target is noisier than that of
    [`rgen.losses.denoising`][] by a factor of `steps` in variance.

    **Arguments:** those of [`rgen.losses.denoising`][], and

    - `steps`: the number of steps of the walk from `x0`.
    """
    manifold = process.manifold
    before_key, step_key = jr.split(key)
    v = process.schedule.integral(t)
    delta = v / steps
    x_s = process._sample(x0, v - delta, before_key)
    drift = delta * process._drift(x_s)
    noise = jnp.sqrt(delta) * manifold.tangent_noise(x_s, step_key)
    x = manifold.exp(x_s, drift + noise)
    target = manifold.log(x, manifold.exp(x_s, drift)) / delta
    error = evaluate_field(score, manifold, x, t) - target
    return manifold.inner(x, error, error)


@typed
def implicit(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
) -> Scalar:
    r"""The implicit loss $|s(x_t, t)|^2 + 2\,\mathrm{div}\,s(x_t, t)$ with
    $x_t \sim p_{t|0}(\cdot \mid x_0)$ (Hyvärinen 2005; De Bortoli et al. 2022,
    Table 2).

    It needs no transition density. Its expectation differs from that of the denoising
    loss by a constant that does not depend on the field.

    **Arguments:** those of [`rgen.losses.denoising`][], and

    - `divergence`: [`rgen.ExactDivergence`][] or [`rgen.HutchinsonDivergence`][].
    """
    manifold = process.manifold
    sample_key, divergence_key = jr.split(key)
    x = process.sample(x0, t, sample_key)
    field = lambda y: evaluate_field(score, manifold, y, t)
    s = field(x)
    return manifold.inner(x, s, s) + 2 * divergence(manifold, field, x, divergence_key)


@typed
def sliced(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
) -> Scalar:
    r"""The sliced loss $\langle u, s\rangle^2 + 2\,\langle u, \nabla_u s\rangle$ at
    $x_t \sim p_{t|0}(\cdot \mid x_0)$, with $u$ a standard normal tangent vector (Song
    et al. 2020).

    Of the same expectation as the implicit loss, from one forward pass in any
    dimension.

    **Arguments:** those of [`rgen.losses.denoising`][].
    """
    manifold = process.manifold
    sample_key, slice_key = jr.split(key)
    x = process.sample(x0, t, sample_key)
    field = lambda y: evaluate_field(score, manifold, y, t)
    u = manifold.tangent_noise(x, slice_key)
    slope = manifold.inner(x, u, manifold.covariant_derivative(field, x, u))
    return manifold.inner(x, u, field(x)) ** 2 + 2 * slope


@typed
def flow_matching(
    field: ScoreFunction,
    base: AbstractDistribution,
    x1: Point,
    t: Scalar,
    key: Key,
) -> Scalar:
    r"""The flow-matching loss $|f(x_t, t) - \dot x_t|^2$ at a point of the geodesic
    $x_t = \exp_{x_0}(t \log_{x_0} x_1)$ from $x_0 \sim$ `base` to the data point `x1`
    (Chen and Lipman 2023, with the geodesic distance).

    Over all fields, at times uniform on $[0, 1]$, it is minimised by one whose flow
    carries `base` to the law of the data: see [`rgen.baselines.Flow`][]. Smooth unless
    a point lies in the cut locus of the other.

    **Arguments:**

    - `field`: the vector field, a function of a point and a time.
    - `base`: the law at time 0; its manifold is that of the field.
    - `x1`, `t`, `key`: one data point, one time in $[0, 1]$, one random key.
    """
    manifold = base.manifold
    x0 = base.sample(key)
    v = manifold.log(x0, x1)
    path = lambda t: manifold.exp(x0, t * v)
    x, velocity = jax.jvp(path, (t,), (jnp.ones_like(t),))
    error = evaluate_field(field, manifold, x, t) - velocity
    return manifold.inner(x, error, error)


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
