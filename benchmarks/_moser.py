"""What is made of a Moser flow whose density is negative somewhere."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


class _Positive(eqx.Module):
    """The positive part of the density, normalised: its mass is a mean over 16,384
    uniform points, always the same."""

    law: rgen.baselines.MoserFlow
    log_mass: jax.Array

    def __call__(self, x):
        return _log_ratio(self.law, x) + self.law.base.log_prob(x) - self.log_mass


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


def _log_ratio(law, x):
    return jnp.log(jnp.maximum(law.ratio(x), law.floor))


@eqx.filter_jit
def _positive_mass(law):
    x = jax.vmap(law.base.sample)(jr.split(jr.key(0), 16_384))
    ratio = jax.lax.map(partial(_log_ratio, law), x, batch_size=1024)
    return jnp.mean(jnp.exp(ratio))
