import equinox as eqx
from jaxtyping import Array

from .._manifold import AbstractManifold
from .._typing import Floating, Key, Point, Tangent, typed
from ._features import FourierFeatures
from ._parametrisation import AbstractParametrisation, Projected
from ._residual import ResidualMLP


class NeuralField(eqx.Module):
    r"""A neural vector field $f(x, v) = P_x\, g(\phi(x, v))$ of a point and the
    variance $v$ of the noise in it: features [`rgen.nn.FourierFeatures`][], a network
    [`rgen.nn.ResidualMLP`][], and a parametrisation $P$ that makes a tangent vector of
    its output. [`rgen.nn.ScoreField`][] and [`rgen.nn.FlowField`][] are made of it.

    Its only parameters are the network's. It starts as the zero field.

    **Arguments:**

    - `manifold`: the manifold.
    - `v_min`, `v_max`: the smallest and the largest variance; for a product whose
        factors have variances of their own, a tuple with one for each factor.
    - `width`, `depth`: the size of the network.
    - `frequencies`, `max_frequency`, `damping`: of the Fourier features, their number,
        largest scale and damping.
    - `parametrisation`: [`rgen.nn.Projected`][], [`rgen.nn.KillingFrame`][] or
        [`rgen.nn.LieAlgebra`][].
    - `key`: the random key of the initial weights.
    """

    manifold: AbstractManifold
    parametrisation: AbstractParametrisation
    features: FourierFeatures
    network: ResidualMLP

    @typed
    def __init__(
        self,
        manifold: AbstractManifold,
        v_min: float | tuple[float, ...],
        v_max: float | tuple[float, ...],
        *,
        width: int = 256,
        depth: int = 4,
        frequencies: int = 128,
        max_frequency: float = 30.0,
        damping: float = 1.0,
        parametrisation: AbstractParametrisation = Projected(),  # noqa: B008
        key: Key,
    ):
        self.manifold = manifold
        self.parametrisation = parametrisation
        self.features = FourierFeatures(
            manifold, v_min, v_max, frequencies, max_frequency, damping
        )
        out_size = parametrisation.size(manifold)
        self.network = ResidualMLP(
            self.features.out_size, out_size, width, depth, key=key
        )

    @typed
    def __call__(self, x: Point, v: Floating[Array, "..."]) -> Tangent:
        """The vector at the point `x` for the variance `v`, tangent at `x`."""
        output = self.network(self.features(x, v))
        return self.parametrisation(self.manifold, x, output)
