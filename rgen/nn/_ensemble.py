from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._errors import leading_axis
from .._typing import Point, Scalar, Tangent, typed
from ._base import AbstractField


class Ensemble(AbstractField):
    r"""The mean $\frac1n \sum_i s_i(x, t)$ of score fields of one structure. Where the
    members are scores of densities, it is that of their geometric mean, up to
    normalisation. What each has fitted of the noise in its training averages out.

    ```python
    members = eqx.filter_vmap(lambda key: rgen.nn.ScoreField(process, key=key))(
        jr.split(key, 3)
    )
    score = rgen.nn.Ensemble(members)
    ```

    Train the members apart: the loss of `score` is not the mean of their losses, which
    is `eqx.filter_vmap` of the loss over `score.members`.

    **Arguments:**

    - `members`: one score field whose arrays all have a further leading axis, which
        counts the members; `eqx.filter_vmap` of a constructor makes one.
    """

    members: Callable

    @typed
    def __init__(self, members: Callable):
        remedy = "Make them with eqx.filter_vmap."
        leading_axis("Ensemble", "members", members, None, remedy)
        self.members = members

    @property
    def size(self) -> int:
        """The number of members."""
        return len(jax.tree.leaves(eqx.filter(self.members, eqx.is_array))[0])

    @typed
    def __call__(self, x: Point, t: Scalar, c: Any = None) -> Tangent:
        """The mean of the members at the point `x` and the time `t`, given the
        condition `c`: a tangent vector at `x`."""
        at = (x, t) if c is None else (x, t, c)
        each = eqx.filter_vmap(lambda member: member(*at))(self.members)
        return jnp.mean(each, axis=0)
