import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .._typing import Floating, Key, typed


class ResidualMLP(eqx.Module):
    r"""A multilayer perceptron whose hidden layers add to their input:
    $h_{k+1} = h_k + \mathrm{silu}(W_k h_k + b_k)$.

    The last layer starts at zero, and with it the output. With several *experts* it is
    a mean of as many linear layers, whose weights depend on the last hidden vector,
    $\sum_k \mathrm{softmax}(G h)_k\, (A_k h + b_k)$ (Jacobs et al., *Adaptive Mixtures
    of Local Experts*, 1991), so that it can change fast from one region to the next.

    **Arguments:**

    - `in_size`, `out_size`: the lengths of input and output.
    - `width`: the length of the hidden vectors.
    - `depth`: the number of hidden layers, the first one included.
    - `experts`: the number of last layers.
    - `key`: the random key of the initial weights.
    """

    first: eqx.nn.Linear
    hidden: list[eqx.nn.Linear]
    last: eqx.nn.Linear
    gate: eqx.nn.Linear | None

    @typed
    def __init__(
        self,
        in_size: int,
        out_size: int,
        width: int,
        depth: int,
        *,
        experts: int = 1,
        key: Key,
    ):
        if width < 1 or depth < 1 or experts < 1:
            raise ValueError(
                "ResidualMLP: expected `width`, `depth` and `experts` of at least 1, "
                f"got {width}, {depth} and {experts}."
            )
        first_key, hidden_key, last_key = jr.split(key, 3)
        self.first = eqx.nn.Linear(in_size, width, key=first_key)
        keys = jr.split(hidden_key, depth - 1)
        self.hidden = [eqx.nn.Linear(width, width, key=k) for k in keys]
        last = eqx.nn.Linear(width, experts * out_size, key=last_key)
        self.last = jax.tree.map(jnp.zeros_like, last)
        # Nothing is left of its key in zeros.
        self.gate = (
            None if experts == 1 else eqx.nn.Linear(width, experts, key=last_key)
        )

    @typed
    def __call__(self, x: Floating[Array, " in"]) -> Floating[Array, " out"]:
        """The output for the input `x`."""
        h = jax.nn.silu(_affine(self.first, x))
        for layer in self.hidden:
            h = h + jax.nn.silu(_affine(layer, h))
        output = _affine(self.last, h)
        if self.gate is None:
            return output
        weights = jax.nn.softmax(_affine(self.gate, h))
        return weights @ output.reshape(len(weights), -1)


def _affine(layer: eqx.nn.Linear, x: Array) -> Array:
    # `layer(x)`, in the order in which a batch of points needs no transposition.
    assert layer.bias is not None
    return x @ layer.weight.T + layer.bias
