from typing import Any

import equinox as eqx
import jax.random as jr

from .._cost import Cost
from .._divergence import AbstractDivergence, ExactDivergence
from .._errors import warn
from .._given import Given
from .._manifold import AbstractManifold
from .._process import AbstractProcess
from .._sampler import AbstractSampler, ProbabilityFlow, ReverseSDE
from .._term import ScoreFunction
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractModel, require_finished


class ScoreModel(AbstractModel):
    r"""A score-based model (De Bortoli et al. 2022): the distribution at time $t_0$ of
    the noising process run backwards from its prior, with a score field $s$ for
    $\nabla\log p_t$.

    Its density is $\log p(x) = \log p_\infty(x_{t_1}) + \int_{t_0}^{t_1} \mathrm{div}
    f(x_t, t)\,\mathrm dt$ along the probability flow $\dot x = f$ from $x_{t_0} = x$.
    Both are those of the data with noise of the variance `schedule.variance(t0)`.

    A warning says when the process has forgotten less than 99 % of the data at its end,
    by its [`remainder`][rgen.AbstractProcess.remainder].

    **Arguments:**

    - `score`: the score field, a function of a point and a time; an `eqx.Module` rather
        than a fresh closure, which is compiled at every call. For a conditional model
        a function of a point, a time and a condition.
    - `process`: the noising process that the score belongs to.
    - `sampler`: how to sample: [`rgen.ReverseSDE`][], the default, or another
        [`rgen.AbstractSampler`][], such as [`rgen.FewSteps`][].
    - `flow`: how to solve the probability flow for densities; `rgen.ProbabilityFlow()`
        by default.
    - `divergence`: [`rgen.ExactDivergence`][], or [`rgen.HutchinsonDivergence`][], with
        which densities need a `key`, and without one raise a `ValueError`.
    """

    score: ScoreFunction
    process: AbstractProcess
    sampler: AbstractSampler
    flow: ProbabilityFlow
    divergence: AbstractDivergence

    @typed
    def __init__(
        self,
        score: ScoreFunction,
        process: AbstractProcess,
        sampler: AbstractSampler | None = None,
        flow: ProbabilityFlow | None = None,
        divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
    ):
        self.score = score
        self.process = process
        self.sampler = ReverseSDE() if sampler is None else sampler
        self.flow = ProbabilityFlow() if flow is None else flow
        self.divergence = divergence
        if process.remainder > 0.01:
            warn(
                f"ScoreModel: at the end of its schedule the process still remembers "
                f"{process.remainder:.0%} of the data's slowest mode, which a sampler "
                "that starts from the prior leaves out. Let the schedule end at a "
                "larger variance: rgen.LogUniformSchedule() ends where 0.7 % is left.",
            )

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the process."""
        return self.process.manifold

    @typed
    def given(self, c: Any) -> "ScoreModel":
        """The model given the condition `c`. For one condition a point,
        [`rgen.sample`][] and [`rgen.log_prob`][] take `given=conditions`."""
        return eqx.tree_at(lambda m: m.score, self, Given(self.score, c))

    @typed
    def log_prob_and_cost(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Cost]:
        return self.flow.log_prob(self.score, self.process, x, self.divergence, key)

    @typed
    def sample_and_log_prob(self, key: Key) -> tuple[Point, Scalar]:
        r"""A sample $x$ of $p$, and $\log p(x)$, in one solve of the probability flow,
        `flow`, whatever the sampler; with [`rgen.HutchinsonDivergence`][] an estimate
        of it."""
        prior_key, divergence_key = jr.split(key)
        start, log_prob = self.process.prior.sample_and_log_prob(prior_key)
        (x, change), cost = self.flow.sample_and_change(
            self.score, self.process, start, self.divergence, divergence_key
        )
        found = x, log_prob + change
        x, log_prob = (require_finished(cost, each) for each in found)
        return x, log_prob

    @typed
    def sample_and_cost(self, key: Key) -> tuple[Point, Cost]:
        prior_key, sampler_key = jr.split(key)
        x, prior_cost = self.process.prior.sample_and_cost(prior_key)
        x, cost = self.sampler(self.score, self.process, x, sampler_key)
        return x, prior_cost + cost
