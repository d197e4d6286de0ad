import jax.numpy as jnp
import jax.random as jr

from .._process import AbstractProcess
from .._term import ScoreFunction, evaluate_field
from .._typing import Key, Point, Scalar, typed
from ._weights import Weight, root, unit_weight


@typed
def denoising_step(
    score: ScoreFunction,
    process: AbstractProcess,
    x0: Point,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
    steps: int = 100,
) -> Scalar:
    r"""The denoising loss along the last step of a geodesic random walk to time `t`,
    $w\,|s(x_t, t) - \delta^{-1} \log_{x_t} \exp_{x_s}(\delta\, b(x_s))|^2$, where
    $x_t$ is one step of variance $\delta = v_t / \mathrm{steps}$ away from $x_s$ (the
    loss $\ell_{t|s}$ of De Bortoli et al. 2022, Table 2).

    It needs no transition density, and its target is noisier than that of
    [`rgen.losses.denoising`][] by a factor of `steps` in variance.

    **Arguments:** those of [`rgen.losses.denoising`][], and

    - `steps`: the number of steps of the walk from `x0`, at least 2.
    """
    if steps < 2:
        raise ValueError(
            f"denoising_step: expected `steps` of at least 2, got {steps}: the target "
            "is that of the last of them. Use 100, the default, or more."
        )
    manifold = process.manifold
    before_key, step_key = jr.split(key)
    v = process.schedule.variance(t)
    x_s = process.kernel.sample(x0, v - v / steps, before_key)
    delta = process.broadcast(v / steps)
    drift = delta * process._drift(x_s)
    noise = jnp.sqrt(delta) * manifold.tangent_noise(x_s, step_key)
    x = manifold.exp(x_s, drift + noise)
    target = manifold.log(x, manifold.exp(x_s, drift)) / delta
    field = manifold.to_tangent(x, evaluate_field(score, manifold, x, t))
    error = root(weight, process, t) * (field - target)
    return manifold.inner(x, error, error)
