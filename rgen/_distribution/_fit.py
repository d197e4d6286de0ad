import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from .._check import check_points
from .._manifold import AbstractManifold
from .._typing import BoolScalar, Floating


# Of the kernels of a mixture.
BANDWIDTHS = 24
# How much likelihood EM may leave, in nats per point, and when it gives up.
_GAP = 1e-3
_MAX_STEPS = 20_000


def check_fit(
    who: str,
    manifold: AbstractManifold,
    train: Shaped[Array | np.ndarray, "train ..."],
    validation: Shaped[Array | np.ndarray, "validation ..."],
    resolution: float,
) -> tuple[Floating[Array, "train ..."], Floating[Array, "validation ..."]]:
    """The points that a mixture is fitted to, having checked them and the
    resolution."""
    if not 0 < resolution < 1:
        raise ValueError(
            f"{who}: expected `resolution`, a variance in units of length squared, to "
            f"be between 0 and 1, got {resolution}."
        )
    return check_points(manifold, train), check_points(manifold, validation)


def maximise_weights(
    log_likelihoods: Floating[Array, "m k"],
) -> Floating[Array, " k"]:
    """The log weights, normalised, of the mixture of `k` fixed laws under which `m`
    points of given log-likelihoods are likeliest."""
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
