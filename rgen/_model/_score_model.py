from jaxtyping import Array, Int

from .._distribution import AbstractDistribution
from .._distribution._base import on_manifold
from .._divergence import AbstractDivergence, ExactDivergence
from .._manifold import AbstractManifold
from .._process import AbstractProcess
from .._sampler import AbstractSampler, ProbabilityFlow, ReverseSDE
from .._sampler._base import draw
from .._term import ScoreFunction
from .._typing import Key, Point, Scalar, typed
from ._likelihood import density_and_evaluations


class ScoreModel(AbstractDistribution):
    r"""The law of a score-based model, as a distribution: to be pushed forward
    or compared with others. Its density is $\log p(x) = \log p_\infty(x_{t_1}) +
    \int_{t_0}^{t_1} \mathrm{div} f(x_t, t)\,\mathrm dt$ along the probability flow
    $\dot x = f$ from $x_{t_0} = x$, and its draws are those of `sampler`.
    [`rgen.log_prob`][] and [`rgen.sample`][] are the same for a batch, and check it.

    **Arguments:**

    - `score`, `process`: the score field, and the noising process it belongs to.
    - `flow`: the tolerances of `log_prob`.
    - `sampler`: how `sample` draws.
    - `divergence`: [`rgen.ExactDivergence`][], or [`rgen.HutchinsonDivergence`][], with
        which `log_prob` needs a `key`, and without one raises a `ValueError`:
        [`rgen.Pushforward`][] has none to give.
    """

    score: ScoreFunction
    process: AbstractProcess
    flow: ProbabilityFlow
    sampler: AbstractSampler
    divergence: AbstractDivergence

    @typed
    def __init__(
        self,
        score: ScoreFunction,
        process: AbstractProcess,
        flow: ProbabilityFlow = ProbabilityFlow(),  # noqa: B008 (a constant)
        sampler: AbstractSampler = ReverseSDE(),  # noqa: B008 (a constant)
        divergence: AbstractDivergence = ExactDivergence(),  # noqa: B008 (a constant)
    ):
        self.score = score
        self.process = process
        self.flow = flow
        self.sampler = sampler
        self.divergence = divergence

    @property
    def manifold(self) -> AbstractManifold:
        """The manifold of the process."""
        return self.process.manifold

    @typed
    def log_prob(self, x: Point, key: Key | None = None) -> Scalar:
        return self.log_prob_evaluations(x, key)[0]

    @typed
    def log_prob_evaluations(
        self, x: Point, key: Key | None = None
    ) -> tuple[Scalar, Int[Array, ""]]:
        r"""$\log p(x)$, and the number of evaluations of the field and its divergence
        that it took."""
        x = on_manifold(self.manifold, x)
        return density_and_evaluations(
            self.score, self.process, x, self.flow, self.divergence, key
        )

    @typed
    def sample(self, key: Key) -> Point:
        return draw(self.score, self.process, self.sampler, key)
