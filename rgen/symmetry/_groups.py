import itertools

import numpy as np
from jaxtyping import Array

from .._manifold import SpecialOrthogonal, Sphere, Torus
from .._typing import Floating, typed
from ._finite_group import FiniteGroup


@typed
def antipodes(sphere: Sphere) -> FiniteGroup:
    """The identity and $x \\mapsto -x$ on a sphere: axial data, such as the directions
    of fibres, for which a direction and its opposite are one."""
    identity = np.eye(sphere.dim + 1)
    return FiniteGroup(sphere, np.stack([identity, -identity]))


@typed
def half_turns(torus: Torus, *angles: int) -> FiniteGroup:
    """The shifts by pi of the given angles of a torus, and all products of them: an
    angle of a group that looks the same after half a turn, as the second one of
    phenylalanine's and tyrosine's side chains."""
    if not angles or not all(0 <= angle < torus.dim for angle in angles):
        raise ValueError(
            f"half_turns: expected `angles` among 0 to {torus.dim - 1}, got {angles}."
        )
    shifts = np.eye(torus.dim)[sorted(set(angles))] * np.pi
    each = itertools.product([0, 1], repeat=len(shifts))
    offsets = np.stack([np.array(which) @ shifts for which in each])
    matrices = np.broadcast_to(np.eye(torus.dim), (len(offsets), *[torus.dim] * 2))
    return FiniteGroup(torus, matrices, offsets)


@typed
def right_rotations(
    rotations: Floating[Array, "order 3 3"] | np.ndarray,
) -> FiniteGroup:
    r"""A group of rotations $Q$ that act on $SO(3)$ from the right, $R \mapsto R\,Q$:
    the symmetries of the body whose orientation $R$ is, such as those of a crystal.
    [`rgen.symmetry.cyclic`][] and the other point groups make them."""
    rotations = np.asarray(rotations)
    # The entries of R Q, row by row.
    matrices = np.stack([np.kron(np.eye(3), q.T) for q in rotations])
    return FiniteGroup(SpecialOrthogonal(3), matrices)
