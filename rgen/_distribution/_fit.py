from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._check import check_points
from .._manifold import AbstractManifold
from .._typing import BoolScalar, Floating


# How much likelihood EM may leave, in nats per point, and the most steps it takes.
_GAP = 1e-3
_MAX_STEPS = 20_000


def check_fit(
    who: str,
    manifold: AbstractManifold,
    train: Any,
    validation: Any,
    min_variance: float,
) -> tuple[Floating[Array, "train ..."], Floating[Array, "validation ..."]]:
    """The points that a mixture is fitted to, having checked them and the smallest
    variance."""
    if not 0 < min_variance < 1:
        raise ValueError(
            f"{who}: expected `min_variance`, in units of length squared, to be "
            f"between 0 and 1, got {min_variance}."
        )
    train = check_points(manifold, train, "train")
    return train, check_points(manifold, validation, "validation")


def maximise_weights(
    log_likelihoods: Floating[Array, "m k"],
) -> Floating[Array, " k"]:
    """The normalised log weights of a mixture of `k` fixed distributions that maximise
    the likelihood of `m` points, given the log-likelihoods."""
    top = jnp.max(log_likelihoods, axis=1, keepdims=True)
    likelihoods = jnp.exp(log_likelihoods - top)
    start = jnp.full(likelihoods.shape[1], 1 / likelihoods.shape[1], top.dtype)

    def unfinished(state: tuple[Array, Array, Array]) -> BoolScalar:
        _, gains, step = state
        return (jnp.max(gains) > 1 + _GAP) & (step < _MAX_STEPS)

    def improve(state: tuple[Array, Array, Array]):
        weights, gains, step = state
        weights = weights * gains
        weights = weights / jnp.sum(weights)
        return weights, _gains(weights, likelihoods), step + 1

    state = start, _gains(start, likelihoods), jnp.array(0)
    weights, _, _ = jax.lax.while_loop(unfinished, improve, state)
    return jnp.log(weights)


def _gains(
    weights: Floating[Array, " k"], likelihoods: Floating[Array, "m k"]
) -> Floating[Array, " k"]:
    """The derivative of the mean log-likelihood in each weight."""
    return jnp.mean(likelihoods / (likelihoods @ weights)[:, None], axis=0)
