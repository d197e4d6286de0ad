import equinox as eqx

from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, Tangent, typed
from ._features import FourierFeatures
from ._parametrisation import AbstractParametrisation, Projected
from ._residual import ResidualMLP


class FlowField(eqx.Module):
    r"""A neural vector field $f(x, t) = P_x\, g(\phi(x, v(t)))$ for flows from noise at
    time 0 to data at time 1: features [`rgen.nn.FourierFeatures`][], a network
    [`rgen.nn.ResidualMLP`][], and a parametrisation $P$ that makes a tangent vector of
    its output.

    Along geodesics from noise to data a point is $1 - t$ of the way from the data, and
    the features are damped by the variance $v(t) = (1 - t)^2 + v_{\min}$.

    Its only parameters are the network's. It starts as the zero field.

    **Arguments:**

    - `manifold`: the manifold.
    - `v_min`: the variance at time 1: the square of the finest scale.
    - `width`, `depth`: the size of the network.
    - `frequencies`, `max_frequency`, `damping`: of the Fourier features, their number,
        largest scale and damping.
    - `parametrisation`: [`rgen.nn.Projected`][], [`rgen.nn.Killing`][] or
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
        *,
        v_min: float = 1e-4,
        width: int = 256,
        depth: int = 4,
        frequencies: int = 128,
        max_frequency: float = 30.0,
        damping: float = 1.0,
        parametrisation: AbstractParametrisation = Projected(),  # noqa: B008
        key: Key,
    ):
        if not v_min > 0:
            raise ValueError(
                f"FlowField: expected `v_min` to be positive, got {v_min}. It is the "
                "square of the finest scale."
            )
        self.manifold = manifold
        self.parametrisation = parametrisation
        self.features = FourierFeatures(
            manifold, v_min, 1 + v_min, frequencies, max_frequency, damping
        )
        out_size = parametrisation.size(manifold)
        self.network = ResidualMLP(
            self.features.out_size, out_size, width, depth, key=key
        )

    @typed
    def __call__(self, x: Point, t: Scalar) -> Tangent:
        """The vector at the point `x` and the time `t`, tangent at `x`."""
        v = (1 - t) ** 2 + self.features.v_min
        output = self.network(self.features(x, v))
        return self.parametrisation(self.manifold, x, output)
