import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._manifold import Power
from .._typing import Floating, Key, Point, Scalar, Tangent, typed
from ._base import AbstractKernel
from ._heat_kernel import heat_kernel


class PowerKernel(AbstractKernel):
    r"""The transition kernel of independent copies of one diffusion,
    $p_v(x \mid x_0) = \prod_i p_v(x_i \mid x_{0, i})$.

    The variance `v` of its methods is that of one copy: an array of shape `(factors,)`
    where `kernel` is a [`rgen.ProductKernel`][].

    **Arguments:**

    - `kernel`: the kernel of one copy.
    - `n`: the number of copies.
    """

    kernel: AbstractKernel
    manifold: Power

    @typed
    def __init__(self, kernel: AbstractKernel, n: int):
        self.kernel = kernel
        self.manifold = Power(kernel.manifold, n)

    @typed
    def log_prob(self, x0: Point, x: Point, v: Floating[Array, "..."]) -> Scalar:
        self.manifold._check_shapes("log_prob", x0=x0, x=x)
        return jnp.sum(jax.vmap(self.kernel.log_prob, (0, 0, None))(x0, x, v))

    @typed
    def score(self, x0: Point, x: Point, v: Floating[Array, "..."]) -> Tangent:
        self.manifold._check_shapes("score", x0=x0, x=x)
        return jax.vmap(self.kernel.score, (0, 0, None))(x0, x, v)

    @typed
    def sample(self, x0: Point, v: Floating[Array, "..."], key: Key) -> Point:
        self.manifold._check_shapes("sample", x0=x0)
        keys = jr.split(key, self.manifold.n)
        return jax.vmap(self.kernel.sample, (0, None, 0))(x0, v, keys)


@heat_kernel.register
def _(manifold: Power) -> AbstractKernel:
    return PowerKernel(heat_kernel(manifold.manifold), manifold.n)
