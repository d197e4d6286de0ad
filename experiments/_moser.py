"""How Moser flows are trained where their mass is negative, and what is made of them
where it still is."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


PENALTY = 2.0
# Of the mean that normalises a density that is cut off.
POINTS = 16_384


def near_and_everywhere(
    kernels: Callable, variances: jax.Array, x: jax.Array
) -> rgen.AbstractDistribution:
    """A mixture of kernels at the points `x`, a half of them of the last of the
    variances, which is to reach everywhere. The mass of a Moser flow of narrow clumps
    is negative in rims around them, which uniform points hardly ever hit."""
    n = len(variances) - 1
    weights = jnp.append(jnp.full(n, 0.5 / n), 0.5)
    return kernels(x, variances, jnp.log(weights))


def moser_loss(
    proposal: Callable, law: rgen.MoserFlow, x: jax.Array, key: jax.Array
) -> jax.Array:
    """The loss of a batch, which looks for negative mass by the law `proposal(x)`."""
    one = partial(law.loss, penalty=PENALTY, proposal=proposal(x))
    return jnp.mean(jax.vmap(one)(x, jr.split(key, len(x))))


class Floored(rgen.AbstractDistribution):
    """A Moser flow with its density, or the floor where that is more, normalised."""

    manifold: rgen.AbstractManifold
    flow: rgen.MoserFlow
    mass: jax.Array

    def log_prob(self, x: jax.Array) -> jax.Array:
        ratio = jnp.maximum(self.flow.ratio(x), self.flow.floor)
        return jnp.log(ratio / self.mass) + self.flow.base.log_prob(x)

    def sample(self, key: jax.Array) -> jax.Array:
        return self.flow.sample(key)


@eqx.filter_jit
def floored(flow: rgen.MoserFlow, proposal: rgen.AbstractDistribution) -> Floored:
    """The mean over the manifold of the ratio is one, so that only what the floor adds
    to it is to be found: by draws of a proposal, always the same."""

    def added(key):
        x = proposal.sample(key)
        weight = jnp.exp(flow.base.log_prob(x) - proposal.log_prob(x))
        return weight * jnp.maximum(flow.floor - flow.ratio(x), 0)

    each = jax.lax.map(added, jr.split(jr.key(0), POINTS), batch_size=1024)
    return Floored(flow.manifold, flow, 1 + jnp.mean(each))


def floor_mass(law: rgen.AbstractDistribution) -> dict[str, float]:
    """Of a Moser flow: what the floor adds to the mass of one."""
    if isinstance(law, Floored):
        return {"floor_mass": round(float(law.mass) - 1, 4)}
    return {}
