import equinox as eqx
import jax
import jax.numpy as jnp

from .._manifold import AbstractManifold
from .._process import AbstractProcess
from .._process._base import score_scale
from .._schedule import AbstractSchedule
from .._typing import Key, Point, Scalar, Tangent, typed
from ._features import FourierFeatures
from ._parametrisation import AbstractParametrisation, Projected
from ._residual import ResidualMLP


class ScoreField(eqx.Module):
    r"""A neural score field $s(x, t) = c(t)\, P_x\, f(\phi(x, t))$: features
    [`rgen.nn.FourierFeatures`][], a network [`rgen.nn.ResidualMLP`][], a
    parametrisation $P$ that makes a tangent vector of its output, and the size $c$ of
    the score, [`rgen.AbstractProcess.score_scale`][], so that what the network has to
    put out is of order one at every time.

    Its only parameters are the network's. It starts as the zero field.

    **Arguments:**

    - `process`: the noising process.
    - `width`, `depth`: the size of the network.
    - `frequencies`, `max_frequency`, `damping`: of the Fourier features, their number,
        largest scale and damping.
    - `parametrisation`: [`rgen.nn.Projected`][], [`rgen.nn.Killing`][] or
        [`rgen.nn.LieAlgebra`][].
    - `key`: the random key of the initial weights.
    """

    manifold: AbstractManifold
    schedule: AbstractSchedule
    rate: float = eqx.field(static=True)
    parametrisation: AbstractParametrisation
    features: FourierFeatures
    network: ResidualMLP

    @typed
    def __init__(
        self,
        process: AbstractProcess,
        *,
        width: int = 256,
        depth: int = 4,
        frequencies: int = 128,
        max_frequency: float = 30.0,
        damping: float = 1.0,
        parametrisation: AbstractParametrisation = Projected(),  # noqa: B008
        key: Key,
    ):
        # Not the process itself: the arrays of its limit are no parameters.
        self.manifold = process.manifold
        self.schedule = process.schedule
        self.rate = process.rate
        self.parametrisation = parametrisation
        self.features = FourierFeatures(
            process.manifold,
            *_ends(process.schedule),
            frequencies,
            max_frequency,
            damping,
        )
        out_size = parametrisation.size(process.manifold)
        self.network = ResidualMLP(
            self.features.out_size, out_size, width, depth, key=key
        )

    @typed
    def __call__(self, x: Point, t: Scalar) -> Tangent:
        """The score at the point `x` and the time `t`, a tangent vector at `x`."""
        v = self.schedule.integral(t)
        output = self.network(self.features(x, v))
        scale = score_scale(self.rate, v)
        return self.parametrisation(self.manifold, x, scale * output)


def _ends(schedule: AbstractSchedule) -> tuple[float, float]:
    """The least and the largest accumulated variance at which a score is learnt."""
    with jax.ensure_compile_time_eval():
        at = lambda t: float(schedule.integral(jnp.array(t)))
        return at(schedule.t0), at(schedule.t1)
