from .._manifold import AbstractManifold
from .._typing import Key, Point, Scalar, ScalarFunction, typed
from ._base import AbstractDistribution


class Gibbs(AbstractDistribution):
    r"""The distribution of density $p(x) \propto e^{-U(x)}$, whose normalising constant
    is not known.

    Langevin dynamics
    $\mathrm dX_t = -\tfrac12 \nabla U(X_t)\,\mathrm dt + \mathrm dB_t$ leave it
    invariant.

    **Arguments:**

    - `manifold`: where the distribution lives.
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
            "Gibbs: a potential alone does not say how to sample. Run Langevin "
            "dynamics for long, or use a distribution that can be sampled, such as "
            "rgen.Uniform or rgen.WrappedNormal."
        )
