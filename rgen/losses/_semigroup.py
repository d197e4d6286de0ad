import jax

from .._process import AbstractProcess
from .._typing import Key, Point, Scalar, typed
from .._velocity import TwoTimeField, flow_map, process_time
from ._weights import Weight, root, unit_weight


@typed
def semigroup(
    field: TwoTimeField,
    process: AbstractProcess,
    x0: Point,
    s: Scalar,
    r: Scalar,
    t: Scalar,
    key: Key,
    weight: Weight = unit_weight,
) -> Scalar:
    r"""The semigroup loss of a flow map, $w\,d(X_{s,t}(x_s), X_{r,t}(X_{s,r}(x_s)))^2$:
    one step equals two (progressive distillation; Boffi et al., *How to Build a
    Consistency Model*, 2025). No gradient is taken through the two steps. The manifold
    needs `log`.

    It does not determine the diagonal $v(x, t, t)$: train that beside it, by
    [`rgen.losses.lagrangian`][] with `s` equal to `t`, or without a teacher by the
    denoising loss, as there.

    **Arguments:** those of [`rgen.losses.lagrangian`][], without the velocity, and

    - `r`: a time of the flow between `s` and `t`.
    """
    manifold = process.manifold
    x_s = process.sample(x0, process_time(process.schedule, s), key)
    step = lambda x, s, t: flow_map(manifold, field, x, s, t)
    y = step(x_s, s, t)
    target = jax.lax.stop_gradient(step(step(x_s, s, r), r, t))
    error = manifold.log(y, target)
    error = root(weight, process, process_time(process.schedule, t)) * error
    return manifold.inner(y, error, error)
