import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._process import AbstractProcess
from .._typing import Floating, typed
from ._grid import check_steps


class PowerGrid(eqx.Module):
    r"""Times at which $\sigma^{1/\rho}$ is equally spaced, for the noise level
    $\sigma = \sqrt v$ (Karras et al. 2022, equation 5):

    $$\sigma_i = \Big(\sigma_{\max}^{1/\rho} + \tfrac in\big(\sigma_{\min}^{1/\rho} -
    \sigma_{\max}^{1/\rho}\big)\Big)^\rho, \qquad i = 0, \dots, n.$$

    The default grid of [`rgen.FewSteps`][] and [`rgen.Churn`][], and one that
    [`rgen.ReverseSDE`][] takes. The larger the power, the more of the steps are at low
    noise levels; without bound it is that of
    [`process.time_grid`][rgen.AbstractProcess.time_grid]. Of a product it has the mean
    of the times of the factors, as that has.

    **Arguments:**

    - `power`: the power $\rho > 0$.
    """

    power: float = eqx.field(static=True)

    @typed
    def __init__(self, power: float = 7.0):
        self.power = power

    def __check_init__(self):
        if not 0 < self.power < math.inf:
            raise ValueError(
                "PowerGrid: expected `power` to be positive and finite, got "
                f"{self.power}. For equal steps of the logarithm of the variance take "
                "grid=rgen.AbstractProcess.time_grid."
            )

    @typed
    def __call__(
        self, process: AbstractProcess, steps: int
    ) -> Floating[Array, " times"]:
        """`steps + 1` times from $t_1$ down to $t_0$."""
        check_steps("PowerGrid", steps, "Take as many as the sampler takes.")
        schedule = process.schedule
        ends = jnp.array([schedule.t1, schedule.t0])
        first, last = jnp.log(jax.vmap(schedule.variance)(ends))
        # In logarithms: powers overflow, or round to one.
        ratio = jnp.expm1((last - first) / (2 * self.power))
        change = jnp.log1p(jnp.linspace(jnp.zeros_like(ratio), ratio, steps + 1))
        v = jnp.exp(first + 2 * self.power * change)
        # The ends themselves, without rounding.
        return jax.vmap(schedule.time)(v).at[jnp.array([0, -1])].set(ends)
