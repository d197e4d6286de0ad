import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from ._typing import Scalar


_UNFINISHED = (
    "the solver took all its `max_steps` (give it more; `stopped_at` of its `Cost` is "
    "the time that it reached), or a Moser flow has negative mass there (train it for "
    "longer or with a larger `penalty`; `ratio` says where its density is positive), "
    "or a flow map could not be inverted (train it at times in both orders), or the "
    "field is NaN"
)


class Cost(eqx.Module):
    """What a sample or a density took.

    Each array has the batch shape of the samples or densities.
    """

    evaluations: Int[Array, "..."]
    """The network evaluations (NFE); for a density, evaluations of the field with its
    divergence. Of an implicit solver it is a lower bound, one for each step."""

    steps: Int[Array, "..."]
    """The steps of the solver, rejected ones included."""

    finished: Bool[Array, "..."]
    """Whether the solver finished. Where it did not, the result is NaN."""

    stopped_at: Float[Array, "..."]
    """The time that an adaptive solver had reached when it ran out of `max_steps`; NaN
    where none did. Of several solvers, the smallest."""

    def __init__(
        self,
        evaluations: Int[Array, "..."],
        steps: Int[Array, "..."],
        finished: Bool[Array, "..."],
        stopped_at: Float[Array, "..."] | None = None,
    ):
        self.evaluations = evaluations
        self.steps = steps
        self.finished = finished
        none = jnp.full(jnp.shape(finished), jnp.nan)
        self.stopped_at = none if stopped_at is None else stopped_at

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.evaluations + other.evaluations,
            self.steps + other.steps,
            self.finished & other.finished,
            jnp.fmin(self.stopped_at, other.stopped_at),
        )


# Not a constant array: importing rgen must not start a backend.
def free() -> Cost:
    """The cost of a closed form."""
    return Cost(jnp.array(0), jnp.array(0), jnp.array(True))


def total(costs: Cost) -> Cost:
    """The sum of costs along the leading axis."""
    return Cost(
        jnp.sum(costs.evaluations, axis=0),
        jnp.sum(costs.steps, axis=0),
        jnp.all(costs.finished, axis=0),
        jnp.nanmin(costs.stopped_at, axis=0),
    )


def why_not_finished(stopped_at: Scalar) -> str:
    """What is behind a result that is NaN, and the remedies."""
    if isinstance(stopped_at, Tracer) or jnp.isnan(stopped_at):
        return _UNFINISHED
    return (
        f"the solver took all its `max_steps` and reached time {stopped_at:.4g}. Give "
        "it more steps, or look for NaN in the field there"
    )
