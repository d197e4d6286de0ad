import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


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
