from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, ScalarFunction, typed
from ._base import AbstractDistribution


class Gibbs(AbstractDistribution):
    r"""The law of density $p(x) \propto e^{-U(x)}$, up to its normalising constant.

    The law that Langevin dynamics
    $\mathrm dX_t = -\tfrac12 \nabla U(X_t)\,\mathrm dt + \mathrm dB_t$ leaves
    invariant, for a potential of which nothing else is known.

    **Arguments:**

    - `manifold`: where the law lives.
    - `potential`: the function $U$ of one point, in nats.
    """

    manifold: AbstractManifold
    potential: ScalarFunction

    @typed
    def log_prob(self, x: Point) -> Scalar:
        r"""$-U(x)$: $\log p(x)$ up to a constant that does not depend on `x`."""
        self.manifold._check_shapes("log_prob", x=x)
        return -self.potential(x)

    @typed
    def sample(self, key: Key) -> Point:
        """Raises a `NotImplementedError`."""
        raise NotImplementedError(
            "Gibbs: a potential alone does not tell how to draw from its law. Run "
            "Langevin dynamics for long, or use a law that can be drawn from, such as "
            "rgen.Uniform or rgen.WrappedNormal."
        )
