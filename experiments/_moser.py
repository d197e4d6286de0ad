"""Moser flows: the loss that penalises negative mass, and a floor for what is left."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen

from ._losses import batch_loss


PENALTY = 2.0
# Samples for the normalising constant.
POINTS = 16_384


def near_and_everywhere(
    kernels: Callable, variances: jax.Array, x: jax.Array
) -> rgen.AbstractDistribution:
    """A mixture of kernels at the points `x`. The last of the variances, which should
    reach everywhere, has half of the weight. A Moser flow of narrow clumps has negative
    mass in rims around them, which uniform points hardly ever hit."""
    n = len(variances) - 1
    weights = jnp.append(jnp.full(n, 0.5 / n), 0.5)
    return kernels(x, variances, jnp.log(weights))


def moser_loss(
    proposal: Callable, model: rgen.MoserFlow, x: jax.Array, key: jax.Array
) -> jax.Array:
    """The loss of a batch. Samples of `proposal(x)` look for negative mass."""
    one = partial(model.loss, penalty=PENALTY, proposal=proposal(x))
    return batch_loss(one, key, x)


class Floored(rgen.AbstractModel):
    """A Moser flow whose density is at least its floor, normalised."""

    manifold: rgen.AbstractManifold
    flow: rgen.MoserFlow
    mass: jax.Array

    def log_prob_and_cost(
        self, x: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, rgen.Cost]:
        ratio = jnp.maximum(self.flow.ratio(x), self.flow.floor)
        log_prob = jnp.log(ratio / self.mass) + self.flow.base.log_prob(x)
        return log_prob, rgen.Cost(jnp.array(1), jnp.array(0), jnp.array(True))

    def sample_and_cost(self, key: jax.Array) -> tuple[jax.Array, rgen.Cost]:
        return self.flow.sample_and_cost(key)


@eqx.filter_jit
def floored(flow: rgen.MoserFlow, proposal: rgen.AbstractDistribution) -> Floored:
    """A Moser flow above its floor. The ratio has the mean one, so that the mass is one
    plus what the floor adds, estimated from fixed samples of a proposal."""

    def added(key):
        x = proposal.sample(key)
        weight = jnp.exp(flow.base.log_prob(x) - proposal.log_prob(x))
        return weight * jnp.maximum(flow.floor - flow.ratio(x), 0)

    each = jax.lax.map(added, jr.split(jr.key(0), POINTS), batch_size=1024)
    return Floored(flow.manifold, flow, 1 + jnp.mean(each))


def floor_mass(model: rgen.AbstractDistribution) -> dict[str, float]:
    """For a Moser flow: what the floor adds to the mass of one."""
    if isinstance(model, Floored):
        return {"floor_mass": round(float(model.mass) - 1, 4)}
    return {}
