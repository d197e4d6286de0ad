import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._manifold import Sphere
from .._typing import Floating, Key, Point, Scalar, typed
from ._fit import check_fit
from ._kent import Kent, log_kent_normaliser
from ._mixture import Mixture


# Newton's steps for two concentrations, and the fewest and most steps of EM.
_NEWTON_STEPS, _MIN_STEPS, _MAX_STEPS = 12, 20, 1000
# When a step raises the mean log-likelihood by less, in nats, EM ends.
_GAIN = 1e-5


@typed
def fit_kent_mixture(
    train: Any,
    validation: Any,
    min_variance: float,
    sizes: Sequence[int],
    key: Key,
) -> Mixture:
    r"""A mixture of Kent distributions (Peel, Whiten and McLachlan 2001), fitted to the
    training points by expectation-maximisation. Of the given `sizes` it has the one
    that maximises the likelihood of the validation points.

    The axes of a component are those of its weighted moments (Kent 1982, section 4),
    its two concentrations those of greatest likelihood for these axes. Neither of
    $\kappa \pm 2\beta$, the inverse variances along the axes, exceeds
    `1 / min_variance`. EM starts with round components at random distinct training
    points, whose variance is that of all points divided by the number of components,
    and ends, after 20 steps at least and 1,000 at most, when a step gains less than
    1e-5 nats per point.

    **Arguments:**

    - `train`: unit vectors, of shape `(n, 3)`.
    - `validation`: unit vectors, of shape `(m, 3)`.
    - `min_variance`: the least variance of a component, in square radians, between 0
        and 1.
    - `sizes`: the numbers of components to try, none of them larger than the number of
        distinct training points.
    - `key`: a random key, for the starts.

    **Raises:** a `ValueError` where the points are empty or off the sphere, or
    `min_variance` or a size is out of range.
    """
    train, validation = check_fit(
        "fit_kent_mixture", Sphere(2), train, validation, min_variance
    )
    distinct = jnp.unique(train, axis=0)
    if not sizes or not all(0 < size <= len(distinct) for size in sizes):
        raise ValueError(
            "fit_kent_mixture: expected `sizes` to be numbers of components between 1 "
            f"and the {len(distinct)} distinct training points, got {sizes}."
        )
    starts = [
        jr.choice(jr.fold_in(key, size), distinct, (size,), replace=False)
        for size in sizes
    ]
    fits = [_fit(train, min_variance, start) for start in starts]
    values = [_mean_log_prob(fit, validation) for fit in fits]
    return fits[int(np.argmax(values))]


@eqx.filter_jit
def _mean_log_prob(mixture: Mixture, x: Floating[Array, "n 3"]) -> Scalar:
    return jnp.mean(jax.vmap(mixture.log_prob)(x))


@eqx.filter_jit
def _fit(
    x: Floating[Array, "n 3"], min_variance: float, centres: Floating[Array, "k 3"]
) -> Mixture:
    frames = jax.vmap(_frame)(centres)
    size = len(centres)
    # The mean of half the squared distance is the variance in one direction.
    variance = jnp.mean(jnp.sum((x - jnp.mean(x, axis=0)) ** 2, axis=1)) / 2
    concentration = size / jnp.maximum(variance, size * min_variance)
    concentrations = jnp.full(size, concentration)
    start = _mixture(
        frames, concentrations, concentrations, jnp.zeros_like(concentrations)
    )
    least = jnp.array(-jnp.inf, x.dtype)

    def unfinished(state):
        _, before, now, step = state
        # Components that start almost alike take a few steps to part.
        gaining = (now - before > _GAIN) | (step < _MIN_STEPS)
        return gaining & (step < _MAX_STEPS)

    def improve(state):
        mixture, _, now, step = state
        log_joint = jax.vmap(lambda y: _log_joint(mixture, y))(x)
        total = jax.nn.logsumexp(log_joint, axis=1)
        shares = jnp.exp(log_joint - total[:, None])
        estimate = jax.vmap(lambda share: _estimate(x, share, min_variance))
        components = estimate(shares.T)
        weights = jnp.log(jnp.mean(shares, axis=0))
        return _mixture(*components, weights), now, jnp.mean(total), step + 1

    state = start, least, least, jnp.array(0)
    return jax.lax.while_loop(unfinished, improve, state)[0]


def _mixture(axes: Array, low: Array, high: Array, log_weights: Array) -> Mixture:
    kent = lambda axes, a, b: Kent(axes, (a + b) / 2, (b - a) / 4)
    return Mixture(eqx.filter_vmap(kent)(axes, low, high), log_weights)


def _log_joint(mixture: Mixture, x: Point) -> Array:
    each = eqx.filter_vmap(lambda component: component.log_prob(x))(mixture.components)
    return each + jax.nn.log_softmax(mixture.log_weights)


def _frame(mean: Point) -> Array:
    return jnp.column_stack([mean, *Sphere(2).basis(mean)])


def _estimate(
    x: Floating[Array, "n 3"], share: Floating[Array, " n"], min_variance: float
) -> tuple[Array, Scalar, Scalar]:
    r"""The axes, and $\kappa - 2\beta$ and $\kappa + 2\beta$, for points of given
    shares."""
    total = jnp.sum(share)
    # A component that has lost all points keeps parameters that are numbers.
    lost = total < 1e-6
    share = jnp.where(lost, 1 / len(x), share / jnp.where(lost, 1, total))
    centre = share @ x
    # Opposite points may have no mean direction: then any will do.
    vague = jnp.sum(centre**2) < jnp.finfo(x.dtype).eps ** 2
    mean = Sphere(2).project(jnp.where(vague, x[0], centre))
    basis = Sphere(2).basis(mean)
    # By differences, as a narrow bump needs.
    offset = x - mean
    versine = share @ jnp.sum(offset * offset, axis=1) / 2
    local = offset @ basis.T
    variances, rotation = jnp.linalg.eigh((share[:, None] * local).T @ local)
    short, long = rotation.T @ basis
    axes = jnp.column_stack([mean, long, short])
    low, high = _concentrations(versine, variances[1] - variances[0], min_variance)
    return axes, low, high


def _concentrations(
    versine: Scalar, stretch: Scalar, min_variance: float
) -> tuple[Scalar, Scalar]:
    r"""$\kappa - 2\beta$ and $\kappa + 2\beta$ of greatest likelihood, given the means
    of $1 - \langle x, \gamma_1\rangle$ and of $\langle x, \gamma_2\rangle^2 - \langle
    x, \gamma_3\rangle^2$: by Newton's method in their logarithms, where narrow bumps
    have a constant Hessian."""
    most = -math.log(min_variance)

    def loss(logs: Array) -> Scalar:
        low, high = jnp.exp(logs)
        kappa, beta = (low + high) / 2, (high - low) / 4
        return log_kent_normaliser(kappa, beta) + kappa * versine - beta * stretch

    def step(logs: Array, _: None) -> tuple[Array, None]:
        slope, curvature = jax.grad(loss)(logs), jax.hessian(loss)(logs)
        values, vectors = jnp.linalg.eigh(curvature)
        # The loss is convex in the concentrations, but not in their logarithms.
        values = jnp.maximum(jnp.abs(values), 1e-2)
        change = vectors @ ((vectors.T @ slope) / values)
        return _clip(logs - jnp.clip(change, -1, 1), most), None

    wide, narrow = versine + stretch / 2, versine - stretch / 2
    tiny = jnp.finfo(versine.dtype).tiny
    start = _clip(-jnp.log(jnp.maximum(jnp.stack([wide, narrow]), tiny)), most)
    logs, _ = jax.lax.scan(step, start, None, length=_NEWTON_STEPS)
    low, high = jnp.exp(logs)
    return low, high


def _clip(logs: Array, most: float) -> Array:
    high = jnp.clip(logs[1], -10, most)
    return jnp.stack([jnp.clip(logs[0], -10, high), high])
