"""What is made of a Moser flow whose density is below its floor somewhere."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import rgen


class _Floored(eqx.Module):
    """The density, or the floor where that is more, normalised."""

    law: rgen.baselines.MoserFlow
    log_mass: jax.Array

    def __call__(self, x):
        log_ratio = jnp.log(jnp.maximum(self.law.ratio(x), self.law.floor))
        return log_ratio + self.law.base.log_prob(x) - self.log_mass


def log_density(law: rgen.AbstractDistribution) -> Callable:
    """`law.log_prob`, or that of a Moser flow with its floor, normalised."""
    if isinstance(law, rgen.baselines.MoserFlow):
        return _Floored(law, jnp.log(_floored_mass(law)))
    return law.log_prob


def floor_mass(law: rgen.AbstractDistribution) -> dict[str, float]:
    """Of a Moser flow: what the floor adds to the mass of one."""
    if isinstance(law, rgen.baselines.MoserFlow):
        return {"floor_mass": round(float(_floored_mass(law)) - 1, 4)}
    return {}


@eqx.filter_jit
def _floored_mass(law):
    """The mean over the manifold of the ratio, or of the floor where that is more. The
    mean of the ratio itself is one, so that only what the floor adds is to be found: a
    mean over 16,384 uniform points, always the same."""
    x = jax.vmap(law.base.sample)(jr.split(jr.key(0), 16_384))
    added = lambda x: jnp.maximum(law.floor - law.ratio(x), 0)
    return 1 + jnp.mean(jax.lax.map(added, x, batch_size=1024))
