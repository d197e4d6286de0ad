"""The loop integral from which the heat kernels of spheres and of SO(3) come."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._typing import Scalar


# Nodes, and with p + 1 for the power p, the vertex of the parabola in that unit and the
# spacing of the nodes in the inverse root of it. For every p from 1/2 to 25, and twice
# the power plus one where two geodesics merge, the rule then has a relative error under
# 1e-6 in float32 and 1e-12 in float64.
_PARABOLA = {"float32": (8, 1.6, 0.36), "float64": (18, 2.0, 0.215)}


class Loop(NamedTuple):
    r"""The integrand's factors at the nodes of a loop in the plane of $\zeta$, where
    $s = \sqrt{r^2 + 2v\zeta}$.

    - `weight`: $e^{-\zeta}\,\mathrm d\zeta / 2\pi i$.
    - `s`, `sin` and `cos_half`: $s$, $\sin s$ and $\cos\tfrac s2$.
    - `root`: $\sqrt{v/(\cos s - \cos r)}$, continued along the loop.
    """

    weight: Complex[Array, " nodes"]
    s: Complex[Array, " nodes"]
    sin: Complex[Array, " nodes"]
    cos_half: Complex[Array, " nodes"]
    root: Complex[Array, " nodes"]

    def integrate(self, f: Complex[Array, " nodes"]) -> Scalar:
        r"""$\frac{1}{2\pi i}\int e^{-\zeta} f(\zeta)\,\mathrm d\zeta$ for a function
        that is real on the real axis."""
        return jnp.sum(jnp.real(self.weight * f))


def hankel_loop(power: float, r: Scalar, rest: Scalar, v: Scalar) -> Loop:
    r"""The loop for $\frac{1}{2\pi i}\int e^{-\zeta}\,(v/(\cos s - \cos r))^p\,
    n(s)\,\mathrm d\zeta$ with $s^2 = r^2 + 2v\zeta$ and an even, entire function $n$.

    The loop comes from infinity along the positive real axis, crosses the axis left of
    0 and goes back. As $v \to 0$ the integral tends to
    $n(r)\,(r/\sin r)^p / \Gamma(p)$.

    The heat semigroup is the inverse Laplace transform of the resolvent. On spheres and
    on SO(3) the kernel of the resolvent is, up to a factor, elementary, and all its
    singularities in $\zeta$ are on the positive axis: at $s = r$, $2\pi - r$,
    $2\pi + r$ and so on, one for every geodesic between the two points. The loop
    passes around all of them together. So there is no special case at the cut locus,
    where two of them merge, and with the factor $e^{-r^2/2v}$ taken out none at small
    `v`. On a parabola the trapezoidal rule converges geometrically (Weideman and
    Trefethen 2007, *Parabolic and hyperbolic contours for computing the Bromwich
    integral*), so that a handful of nodes suffices.

    **Arguments:**

    - `power`: $p$.
    - `r`, `rest`: the distance $0 \le r \le \pi$, and $\pi - r$, each to its own
      relative accuracy.
    - `v`: the accumulated variance. Digits are lost where it is not small against
        10 / $p^2$.
    """
    zeta, weight = _parabola(power, str(r.dtype))
    s = jnp.sqrt(r * r + 2 * v * zeta)
    step = 2 * v * zeta / (s + r)
    wrapped = jnp.where(r < rest, 2 * r, -2 * rest)
    # 2 (cos s - cos r) = e^{is} (1 - e^{-i(s-r)}) (1 - e^{-i(s+r)}). On the loop Im s
    # is negative, so both brackets have a positive real part and their product a
    # principal root that is continuous.
    gap = _one_minus_phase(step) * _one_minus_phase(step + wrapped)
    phase = jnp.exp(-0.5j * s)
    return Loop(
        weight=weight,
        s=s,
        sin=_one_minus_phase(2 * step + wrapped) / (2j * phase * phase),
        cos_half=_one_minus_phase(step - rest) / (2 * phase),
        root=jnp.sqrt(2 * v / gap) * phase,
    )


def _parabola(power: float, dtype: str) -> tuple[Array, Array]:
    nodes, vertex, spacing = _PARABOLA[dtype]
    scale, spacing = vertex * (power + 1), spacing / math.sqrt(power + 1)
    # The nodes above the real axis are the conjugates of those below: count them twice.
    u = 1 + 1j * spacing * (np.arange(nodes) + 0.5)
    zeta = -scale * u * u
    weight = 2 * np.exp(-zeta) * scale * u * spacing / np.pi
    kind = jnp.complex64 if dtype == "float32" else jnp.complex128
    return jnp.asarray(zeta, kind), jnp.asarray(weight, kind)


def _one_minus_phase(phi: Complex[Array, " nodes"]) -> Complex[Array, " nodes"]:
    r"""$1 - e^{-i\phi}$, without cancellation where $\phi$ is small."""
    real, imag = jnp.real(phi), jnp.imag(phi)
    size, half = jnp.exp(imag), jnp.sin(real / 2)
    return 2 * size * half * half - jnp.expm1(imag) + 1j * size * jnp.sin(real)
