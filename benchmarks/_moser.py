"""What is made of a Moser flow whose density is negative somewhere."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


class _Positive(eqx.Module):
    """The positive part of the density, normalised."""

    law: rgen.baselines.MoserFlow
    log_mass: jax.Array

    def __call__(self, x):
        log_ratio = jnp.log(jnp.maximum(self.law.ratio(x), self.law.floor))
        return log_ratio + self.law.base.log_prob(x) - self.log_mass


def log_density(law: rgen.AbstractDistribution) -> Callable:
    """`law.log_prob`, or that of the positive part of a Moser flow."""
    if isinstance(law, rgen.baselines.MoserFlow):
        return _Positive(law, jnp.log(_positive_mass(law)))
    return law.log_prob


def negative_mass(law: rgen.AbstractDistribution) -> dict[str, float]:
    """Of a Moser flow: what the mass of the positive part has above one."""
    if isinstance(law, rgen.baselines.MoserFlow):
        return {"negative_mass": round(float(_positive_mass(law)) - 1, 4)}
    return {}


@eqx.filter_jit
def _positive_mass(law):
    """The mean over the manifold of the ratio, or of the floor where that is more. The
    mean of the ratio itself is one, so that only what the floor adds is to be found: a
    mean over 16,384 uniform points, always the same."""
    x = jax.vmap(law.base.sample)(jr.split(jr.key(0), 16_384))
    added = lambda x: jnp.maximum(law.floor - law.ratio(x), 0)
    return 1 + jnp.mean(jax.lax.map(added, x, batch_size=1024))
