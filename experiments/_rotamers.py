"""A backbone-dependent rotamer library, as that of Shapovalov and Dunbrack 2011."""

import itertools
import math
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import rgen

from ._conditional import with_backbone, wrapped
from ._training import Trained


# Bins of 10 degrees of phi and psi.
BINS = 36
# The scales of the smoothing over bins, in degrees, the weights of the shares that a
# residue has everywhere, in counts, and the shares of the uniform distribution, to
# choose from.
SCALES = 3.0, 5.0, 7.0, 10.0, 14.0
PRIOR_COUNTS = 0.5, 2.0, 8.0
FLOORS = 0.003, 0.01, 0.03


class RotamerLibrary(rgen.AbstractDistribution):
    r"""In each bin of the backbone, a mixture of rotamers and a uniform distribution:

    $$p(x \mid c) = \epsilon (2 \pi)^{-d} + (1 - \epsilon) \sum_r w_{b(c) r} \prod_j
    p_{v_{b(c) r j}}(x_j \mid m_{b(c) r j})$$

    with the bin $b(c)$ of the backbone $c$, and wrapped normals $p_v$.
    """

    manifold: rgen.Torus
    log_weights: jax.Array
    means: jax.Array
    variances: jax.Array
    floor: jax.Array
    c: jax.Array | None = None

    def given(self, c: jax.Array) -> rgen.AbstractDistribution:
        return with_backbone(self, c)

    def log_prob(self, x):
        log_weights, means, variances = self._rotamers()
        circle = rgen.heat_kernel(rgen.Torus(1)).log_prob
        angle = lambda mean, x, v: circle(mean[None], x[None], v)
        angles = jax.vmap(jax.vmap(angle), (0, None, 0))(means, x, variances)
        rotamers = jax.nn.logsumexp(log_weights + jnp.sum(angles, axis=1))
        return self.with_floor(rotamers, self.floor)

    def with_floor(self, log_prob, floor):
        """The log-density `log_prob` with the share `floor` of the uniform one."""
        uniform = -self.manifold.dim * math.log(2 * math.pi)
        return jnp.logaddexp(jnp.log1p(-floor) + log_prob, jnp.log(floor) + uniform)

    def sample(self, key):
        which_key, rotamer_key, uniform_key, key = jr.split(key, 4)
        log_weights, means, variances = self._rotamers()
        r = jr.categorical(rotamer_key, log_weights)
        noise = jnp.sqrt(variances[r]) * jr.normal(key, (self.manifold.dim,))
        rotamer = self.manifold.exp(means[r], noise)
        uniform = self.manifold.uniform(uniform_key)
        return jnp.where(jr.bernoulli(which_key, self.floor), uniform, rotamer)

    def _rotamers(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        b = bin_of(self.c)
        return self.log_weights[b], self.means[b], self.variances[b]


def bin_of(backbone):
    """The number of the bin of 10 degrees that the angles phi and psi are in."""
    cells = jnp.floor(backbone * (BINS / (2 * math.pi))).astype(int) % BINS
    return cells[..., 0] * BINS + cells[..., 1]


def well_of(side_chains: np.ndarray, wells: tuple[int, ...]) -> np.ndarray:
    """The number of the rotamer: the cell of a grid with so many wells in each angle, a
    first one from 0."""
    angles = np.asarray(side_chains, float) % (2 * math.pi)
    cells = (angles * np.array(wells) / (2 * math.pi)).astype(int)
    cells = np.minimum(cells, np.array(wells) - 1)
    return np.asarray(np.ravel_multi_index(tuple(cells.T), wells))


def rotamer_library(train, validation, min_variance, wells) -> Trained:
    """The library of the training residues whose smoothing, prior counts and share of
    the uniform distribution are the best for the validation residues. No variance is
    below `min_variance`."""
    start = time.perf_counter()
    side_chains, backbones = train
    counts = Counts(side_chains, backbones, wells)
    best, lowest = None, math.inf
    for scale, prior in itertools.product(SCALES, PRIOR_COUNTS):
        library = counts.library(scale, prior, min_variance)
        log_prob = rgen.log_prob(library, validation[0], given=validation[1])
        for floor in FLOORS:
            nll = -jnp.mean(library.with_floor(log_prob, floor))
            if nll < lowest:
                chosen = eqx.tree_at(lambda m: m.floor, library, jnp.array(floor))
                best, lowest = chosen, nll
    return Trained(best, time.perf_counter() - start)


class Counts:
    """The residues of each bin and rotamer, and their angles' first two moments about
    the centre of the rotamer."""

    def __init__(self, side_chains, backbones, wells):
        x, dim = np.asarray(side_chains, float), len(wells)
        rotamer = well_of(x, wells)
        cells = np.stack(np.unravel_index(np.arange(math.prod(wells)), wells), axis=1)
        self.centres = (cells + 0.5) * 2 * math.pi / np.array(wells)
        offset = wrapped(x - self.centres[rotamer])
        index = np.asarray(bin_of(backbones)), rotamer
        moments = np.concatenate([np.ones((len(x), 1)), offset, offset**2], axis=1)
        self.moments = np.zeros((BINS**2, math.prod(wells), 1 + 2 * dim))
        np.add.at(self.moments, index, moments)
        # One residue in each rotamer, with a quarter of its width as the deviation.
        quarter = math.pi / 2 / np.array(wells)
        self.guess = np.concatenate([[1.0], np.zeros(dim), quarter**2])

    def library(self, scale: float, prior: float, min_variance: float):
        """Smoothed over the backbone with a von Mises kernel of that scale in degrees,
        and moved towards the rotamers of all backbones by `prior` residues."""
        dim = self.centres.shape[1]
        everywhere = self.moments.sum(axis=0) + self.guess
        share = everywhere[:, :1] / everywhere[:, :1].sum()
        smooth = np.tensordot(_between_bins(scale), self.moments, 1)
        counts = smooth[..., 0] + prior * share[:, 0]
        moments = smooth + prior * everywhere / everywhere[:, :1]
        mean, square = np.split(moments[..., 1:] / moments[..., :1], [dim], axis=-1)
        variances = np.maximum(square - mean**2, min_variance)
        weights = counts / counts.sum(axis=1, keepdims=True)
        like = jnp.asarray
        means = like(wrapped(self.centres + mean))
        return RotamerLibrary(
            rgen.Torus(dim), like(np.log(weights)), means, like(variances), like(0.0)
        )


def _between_bins(scale: float) -> np.ndarray:
    """The von Mises kernel of each pair of bins, one for equal bins."""
    angle = 2 * math.pi / BINS * np.arange(BINS)
    apart = (np.cos(angle[:, None] - angle) - 1) / math.radians(scale) ** 2
    pairs = apart[:, None, :, None] + apart[None, :, None, :]
    return np.exp(pairs.reshape(BINS**2, BINS**2))
