from typing import Any, ClassVar

import diffrax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array

from .._typing import Floating, Key, typed


class BrownianGrid(diffrax.AbstractBrownianPath):
    r"""A Brownian motion that is known at given times, and nowhere else: for solvers
    that step from one of them to the next.

    All increments are sampled at once, which is several times faster than one by one.
    One over anything but a step of the grid is not known, and is NaN. The path is a
    function of its key alone, so that it can be evaluated twice: gradients flow through
    a solve with any adjoint that Diffrax has for SDEs. It takes the memory of all of
    its increments; for a path too long for that, use `diffrax.UnsafeBrownianPath`.

    **Arguments:**

    - `shape`: the shape of the motion: `manifold.noise_shape`.
    - `times`: the times of the grid, of shape `(steps + 1,)`, rising or falling: those
        that the solver steps to, by `diffrax.StepTo(times)`.
    - `key`: the random key. Make the path inside a `jax.vmap` over keys, or all paths
        share their noise.
    - `dtype`: the dtype of the increments.
    """

    times: Floating[Array, " times"]
    increments: Floating[Array, "steps ..."]
    levy_area: ClassVar = diffrax.BrownianIncrement

    @typed
    def __init__(
        self,
        shape: tuple[int, ...],
        times: Floating[Array, " n"],
        key: Key,
        dtype: DTypeLike | None = None,
    ):
        if len(times) < 2:
            raise ValueError(
                "BrownianGrid: expected `times` to hold two times or more, the ends of "
                f"the steps, got {len(times)}. Make them with jnp.linspace."
            )
        self.increments = jr.normal(key, (len(times) - 1, *shape), dtype)
        rising = jnp.where(times[0] < times[-1], times, times[::-1])
        self.times = rising.astype(self.increments.dtype)

    @property
    def t0(self) -> Array:
        """The first of the times."""
        return self.times[0]

    @property
    def t1(self) -> Array:
        """The last of the times."""
        return self.times[-1]

    @typed
    def evaluate(
        self,
        t0: Any,
        t1: Any = None,
        left: bool = True,
        use_levy: bool = False,
    ) -> Floating[Array, "..."]:
        r"""The increment $w(t_1) - w(t_0)$ over one step of the grid."""
        if t1 is None or use_levy:
            raise ValueError(
                "BrownianGrid: only increments over the steps of the grid are known. "
                "Use diffrax.VirtualBrownianTree for values and Lévy areas."
            )
        # The step that the middle lies in: its ends may be off by rounding.
        index = jnp.searchsorted(self.times, (t0 + t1) / 2) - 1
        normal = self.increments[index]
        step = self.times[index + 1] - self.times[index]
        rounding = 8 * jnp.finfo(step.dtype).eps * jnp.max(jnp.abs(self.times))
        on_grid = jnp.abs(jnp.abs(t1 - t0) - step) <= 1e-3 * step + rounding
        size = jnp.where(on_grid, jnp.sqrt(jnp.abs(t1 - t0)), jnp.nan)
        return (jnp.sign(t1 - t0) * size).astype(normal.dtype) * normal
