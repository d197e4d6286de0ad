import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, Shaped

from .._check import check_points
from .._divergence import AbstractDivergence, ExactDivergence
from .._process import AbstractProcess
from .._sampler import ProbabilityFlow
from .._term import ScoreFunction, probability_flow
from .._typing import Floating, Key, Point, Scalar, typed


def density_and_evaluations(
    score: ScoreFunction,
    process: AbstractProcess,
    x: Point,
    flow: ProbabilityFlow,
    divergence: AbstractDivergence,
    key: Key | None,
) -> tuple[Scalar, Int[Array, ""]]:
    """The log-density at one point, and the number of evaluations of the field."""
    term = probability_flow(process, score)
    field = lambda z, t: term.vf(t, z, None)
    ends = process.schedule.t0, process.schedule.t1
    end, change, evaluations = flow._solver.end_and_density(
        process.manifold, field, x, *ends, divergence, key
    )
    return process.prior.log_prob(end) + change, evaluations


@eqx.filter_jit
def _log_prob(score, process, x, flow, divergence, key):
    one = lambda x, key: density_and_evaluations(
        score, process, x, flow, divergence, key
    )
    if key is None:
        return jax.vmap(lambda x: one(x, None))(x)
    return jax.vmap(one)(x, jr.split(key, len(x)))


@typed
def log_prob(
    score: ScoreFunction,
    process: AbstractProcess,
    x: Shaped[Array | np.ndarray, "..."],
    flow: ProbabilityFlow = ProbabilityFlow(),  # noqa: B008 (a constant)
    divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
    key: Key | None = None,
) -> Floating[Array, " n"]:
    r"""The log-density of the model at each of the points `x`, in nats with respect to
    the Riemannian volume: $\log p_{t_0}(x) = \log p_\infty(x_{t_1}) +
    \int_{t_0}^{t_1} \mathrm{div} f(x_t, t)\,\mathrm dt$ along the probability flow
    $\dot x = f$ (De Bortoli et al. 2022).

    It is the density of the data blurred by the variance `schedule.integral(t0)`.
    Compiled once for each number of points and each structure of the score field.

    **Arguments:**

    - `score`, `process`: as for [`rgen.sample`][].
    - `x`: points of shape `(n, *process.manifold.point_shape)`; checked to be on the
        manifold.
    - `flow`: the tolerances of the solver.
    - `divergence`: [`rgen.ExactDivergence`][], or [`rgen.HutchinsonDivergence`][] for
        an unbiased estimate with one random vector for each point.
    - `key`: a random key, for the estimate.

    **Returns:** an array of shape `(n,)`.

    **Raises:** a `ValueError` where the points are empty or off the manifold, or where
    an estimate is asked for without a key.
    """
    x = check_points(process.manifold, x)
    return _log_prob(score, process, x, flow, divergence, key)[0]


@typed
def log_prob_evaluations(
    score: ScoreFunction,
    process: AbstractProcess,
    x: Shaped[Array | np.ndarray, "..."],
    flow: ProbabilityFlow = ProbabilityFlow(),  # noqa: B008 (a constant)
    divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
    key: Key | None = None,
) -> tuple[Floating[Array, " n"], Int[Array, " n"]]:
    r"""[`rgen.log_prob`][], and beside it the number of evaluations of the field and
    its divergence that each point took."""
    x = check_points(process.manifold, x)
    return _log_prob(score, process, x, flow, divergence, key)
