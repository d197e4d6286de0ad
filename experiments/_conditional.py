"""Densities of side chains given the backbone that need no network."""

import math
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

import rgen

from ._training import Trained


# Pairs of a variance of the backbone and one of the side chain. Up to the largest one,
# the nearest image of a centre is all of a wrapped normal in float32.
BACKBONE_VARIANCES, SIDE_CHAIN_VARIANCES = 8, 10
LEAST_BACKBONE, MOST_BACKBONE, MOST_SIDE_CHAIN = 3e-3, 0.5, 0.25
FIT_STEPS = 1000
# Points that are evaluated together: what bounds the memory.
BLOCK = 32


class Independent(rgen.AbstractDistribution):
    """A distribution that is the same given any condition."""

    manifold: rgen.AbstractManifold
    distribution: rgen.AbstractDistribution

    def given(self, c: jax.Array) -> rgen.AbstractDistribution:
        return self.distribution

    def log_prob(self, x):
        return self.distribution.log_prob(x)

    def sample(self, key):
        return self.distribution.sample(key)


def with_backbone(model: Any, c: jax.Array) -> Any:
    """The distribution `model` given the backbone `c`, without which it has no
    density."""
    return eqx.tree_at(lambda m: m.c, model, c, is_leaf=lambda leaf: leaf is None)


class KernelConditional(rgen.AbstractDistribution):
    r"""A kernel mixture of side chain and backbone, over its marginal:

    $$p(x \mid c) = \frac{\sum_{kl} w_{kl} \sum_i p_{u_k}(c \mid c_i)\,
    p_{v_l}(x \mid x_i)}{\sum_{kl} w_{kl} \sum_i p_{u_k}(c \mid c_i)}$$

    with heat kernels $p$ of the torus at the residues $(c_i, x_i)$, the variances $u_k$
    of the backbone, and $v_l$ of the side chain.
    """

    manifold: rgen.Torus
    residues: tuple[jax.Array, jax.Array]
    variances: tuple[jax.Array, jax.Array]
    log_weights: jax.Array
    c: jax.Array | None = None

    def given(self, c: jax.Array) -> rgen.AbstractDistribution:
        return with_backbone(self, c)

    def log_prob(self, x):
        return _log_ratio(self.log_weights, *self.components(x))

    def sample(self, key):
        pair_key, centre_key, key = jr.split(key, 3)
        (side_chains, _), (_, side_chain) = self.residues, self.variances
        kernels, top = self._at_backbone()
        joint = self.log_weights + self._log_marginals(kernels, top)[:, None]
        pair = jr.categorical(pair_key, joint.ravel())
        k, l = jnp.divmod(pair, joint.shape[1])
        shares = jnp.cumsum(kernels, axis=1)[k]
        i = jnp.searchsorted(shares, jr.uniform(centre_key) * shares[-1])
        centre = side_chains[jnp.minimum(i, len(side_chains) - 1)]
        return rgen.heat_kernel(self.manifold).sample(centre, side_chain[l], key)

    def components(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """For each pair of variances $p_{kl}(x | c)$, and for each of the backbone
        $log p_k(c)$, up to a constant."""
        (side_chains, _), (_, side_chain) = self.residues, self.variances
        at_backbone, top = self._at_backbone()
        at_side_chain = jnp.exp(-_square(x, side_chains) / (2 * side_chain[:, None]))
        joint = at_backbone @ at_side_chain.T
        norm = (2 * math.pi * side_chain) ** (-self.manifold.dim / 2)
        share = norm * joint / jnp.sum(at_backbone, axis=1, keepdims=True)
        return share, self._log_marginals(at_backbone, top)

    def _at_backbone(self) -> tuple[jax.Array, jax.Array]:
        """The kernels of the backbone, relative to the largest at each variance."""
        (_, backbones), (variances, _) = self.residues, self.variances
        square = _square(self.c, backbones)
        top = -jnp.min(square) / (2 * variances)
        return jnp.exp(-square / (2 * variances[:, None]) - top[:, None]), top

    def _log_marginals(self, kernels: jax.Array, top: jax.Array) -> jax.Array:
        variances, _ = self.variances
        # The backbone has two angles.
        return jnp.log(jnp.sum(kernels, axis=1)) + top - jnp.log(variances)


def _log_ratio(log_weights, share, log_marginals):
    top = jnp.max(log_marginals)
    joint = jnp.exp(log_weights + (log_marginals - top)[:, None])
    # Where all kernels underflow, a number that is as small.
    least = jnp.finfo(share.dtype).tiny
    return jnp.log(jnp.sum(joint * share) + least) - jnp.log(jnp.sum(joint))


def _square(x: Any, centres: jax.Array) -> jax.Array:
    return jnp.sum(wrapped(x - centres) ** 2, axis=1)


def wrapped(angle: Any) -> Any:
    """The same angle, from -pi to pi, in an array of NumPy or JAX."""
    return angle - 2 * math.pi * (angle / (2 * math.pi)).round()


def conditional_kernel_mixture(train, validation, min_variance: float) -> Trained:
    """The mixture whose weights maximise the conditional likelihood of the validation
    residues; no variance of the side chain is below `min_variance`."""
    start = time.perf_counter()
    side_chains, _ = train
    backbone = jnp.geomspace(LEAST_BACKBONE, MOST_BACKBONE, BACKBONE_VARIANCES)
    side_chain = jnp.geomspace(min_variance, MOST_SIDE_CHAIN, SIDE_CHAIN_VARIANCES)
    shape = BACKBONE_VARIANCES, SIDE_CHAIN_VARIANCES
    equal = jnp.full(shape, -math.log(math.prod(shape)))
    manifold = rgen.Torus(side_chains.shape[1])
    model = KernelConditional(manifold, train, (backbone, side_chain), equal)
    log_weights = jax.block_until_ready(_fit(model, *validation))
    model = eqx.tree_at(lambda m: m.log_weights, model, log_weights)
    return Trained(model, time.perf_counter() - start)


@eqx.filter_jit
def _fit(model, side_chains, backbones):
    one = lambda row: model.given(row[1]).components(row[0])
    components = jax.lax.map(one, (side_chains, backbones), batch_size=BLOCK)

    def loss(logits):
        log_weights = jax.nn.log_softmax(logits, axis=None)
        return -jnp.mean(jax.vmap(_log_ratio, (None, 0, 0))(log_weights, *components))

    optim = optax.adam(0.1)

    def step(carry, _):
        logits, state = carry
        updates, state = optim.update(jax.grad(loss)(logits), state)
        return (eqx.apply_updates(logits, updates), state), None

    first = jnp.zeros_like(model.log_weights)
    (logits, _), _ = jax.lax.scan(step, (first, optim.init(first)), length=FIT_STEPS)
    return jax.nn.log_softmax(logits, axis=None)
