import abc

import equinox as eqx

from ._kernel import TruncatedHeatKernel, VaradhanHeatKernel
from ._process import AbstractProcess, Brownian
from ._typing import Point, Scalar, Tangent, typed


class AbstractTarget(eqx.Module):
    r"""What the denoising loss takes for the conditional score
    $\nabla_x \log p_{t|0}(x \mid x_0)$: a row of Table 2 of De Bortoli et al.
    (2022)."""

    @abc.abstractmethod
    def __call__(
        self, process: AbstractProcess, x0: Point, x: Point, t: Scalar
    ) -> Tangent:
        """The target at `x`, a tangent vector."""


class Exact(AbstractTarget):
    """The exact conditional score of the process.

    Raises a `NotImplementedError` where it has no known form."""

    @typed
    def __call__(
        self, process: AbstractProcess, x0: Point, x: Point, t: Scalar
    ) -> Tangent:
        return process.score(x0, x, t)


class Truncated(AbstractTarget):
    """The score of the eigenfunction series of the heat kernel, cut after `terms`
    terms, [`rgen.TruncatedHeatKernel`][]. Wrong at small times, where it should not be
    used.

    Raises a `ValueError` for a process that is not [`rgen.Brownian`][].

    **Arguments:**

    - `terms`: the number of terms.
    """

    terms: int = eqx.field(static=True)

    @typed
    def __call__(
        self, process: AbstractProcess, x0: Point, x: Point, t: Scalar
    ) -> Tangent:
        if not isinstance(process, Brownian):
            raise ValueError(
                "Truncated: expected a `process` with a heat kernel, rgen.Brownian, "
                f"got {type(process).__name__}. Use rgen.Varadhan()."
            )
        kernel = TruncatedHeatKernel(process.manifold, self.terms)
        return kernel.score(x0, x, process.schedule.integral(t))


class Varadhan(AbstractTarget):
    r"""Varadhan's asymptotic score, $\log_x(x_0) / v$ with $v$ the accumulated
    variance: [`rgen.VaradhanHeatKernel`][]. Right as $v \to 0$, on any manifold."""

    @typed
    def __call__(
        self, process: AbstractProcess, x0: Point, x: Point, t: Scalar
    ) -> Tangent:
        kernel = VaradhanHeatKernel(process.manifold)
        return kernel.score(x0, x, process.schedule.integral(t))
