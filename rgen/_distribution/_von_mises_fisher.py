import jax.numpy as jnp

from .._errors import require
from .._kernel._von_mises_fisher import log_density, sample
from .._manifold import Sphere
from .._typing import Key, Point, Scalar, typed
from ._base import AbstractDistribution, require_point


class VonMisesFisher(AbstractDistribution):
    r"""The von Mises-Fisher distribution on the sphere $S^d$, of density

    $$p(x) = \frac{e^{-\kappa |x - \mu|^2/2}}{Z_d(\kappa)}, \qquad
    Z_d(\kappa) = (2\pi)^{\nu+1} \kappa^{-\nu} e^{-\kappa} I_\nu(\kappa), \qquad
    \nu = \frac{d-1}{2},$$

    which is proportional to $e^{\kappa\langle x, \mu\rangle}$. It is uniform at
    $\kappa = 0$. For large $\kappa$ it is a normal of variance $1/\kappa$ in each
    direction, so that it approaches the heat kernel of the variance $1/\kappa$.

    $\log Z_d$ is a closed form for $d = 2$. Otherwise it is an integral, computed by a
    quadrature whose error is at most 1e-13 in float64, and rounding in float32, for
    $0 \le \kappa \le 10^8$ and $d \le 100$.

    Samples are exact, by rejection (Wood, *Simulation of the von Mises Fisher
    distribution*, 1994). They cannot be differentiated in reverse mode.

    The density and the samples are those of $\mu / |\mu|$, so that the distribution
    stays a proper one where an optimiser moves the mean off the sphere.

    **Arguments:**

    - `mean`: the unit vector $\mu$, of shape `(d + 1,)`.
    - `concentration`: $\kappa \ge 0$, finite.

    **Raises:** a `ValueError` where the mean is not on the sphere or the concentration
    is negative or infinite; an error at run time inside of `jax.jit`.
    """

    mean: Point
    concentration: Scalar

    @typed
    def __init__(self, mean: Point, concentration: Scalar | float):
        if mean.ndim != 1 or len(mean) < 2:
            raise ValueError(
                "VonMisesFisher: expected `mean` to be a point of a sphere, of shape "
                f"(dim + 1,), got {mean.shape}. Map over several with eqx.filter_vmap."
            )
        concentration = jnp.asarray(concentration, mean.dtype)
        sphere = Sphere(len(mean) - 1)
        self.mean = require_point("VonMisesFisher", "mean", sphere, mean)
        self.concentration = require(
            (concentration >= 0) & (concentration < jnp.inf),
            concentration,
            "VonMisesFisher: expected `concentration` to be finite and at least 0",
        )

    @property
    def manifold(self) -> Sphere:
        """The sphere that the mean lies on."""
        return Sphere(self.mean.shape[-1] - 1)

    @typed
    def log_prob(self, x: Point) -> Scalar:
        self.manifold._check_shapes("log_prob", x=x)
        mean = self.manifold.project(self.mean)
        return log_density(mean, x, self.concentration)

    @typed
    def sample(self, key: Key) -> Point:
        mean = self.manifold.project(self.mean)
        return sample(self.manifold, mean, self.concentration, key)
