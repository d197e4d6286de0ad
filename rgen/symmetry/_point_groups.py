"""The groups of rotations of crystals, by the names of Schoenflies: arrays of rotation
matrices in float64, of which `rgen.symmetry.right_rotations` makes groups that act."""

import numpy as np

from .._typing import typed


_X, _Z, _DIAGONAL = np.eye(3)[0], np.eye(3)[2], np.ones(3) / np.sqrt(3)


@typed
def cyclic(n: int) -> np.ndarray:
    """$C_n$, the `n` rotations around the z-axis by multiples of $2 \\pi / n$."""
    _require_order("cyclic", n)
    return np.stack([_rotation(_Z, 2 * np.pi * k / n) for k in range(n)])


@typed
def dihedral(n: int) -> np.ndarray:
    """$D_n$: [`rgen.symmetry.cyclic`][], and half turns around `n` axes across the
    z-axis, of which the x-axis is one."""
    _require_order("dihedral", n)
    return _products(cyclic(n), [_rotation(_X, np.pi)])


@typed
def tetrahedral() -> np.ndarray:
    """$T$, the 12 rotations of a tetrahedron: half turns around the axes and thirds of
    a turn around the diagonals of a cube."""
    third = [_rotation(_DIAGONAL, 2 * np.pi * k / 3) for k in (1, 2)]
    return _products(dihedral(2), third)


@typed
def octahedral() -> np.ndarray:
    """$O$, the 24 rotations of a cube."""
    return _products(tetrahedral(), [_rotation(_Z, np.pi / 2)])


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    # A fifth of the time that importing rgen takes.
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_rotvec(angle * axis).as_matrix()
    # The matrices of crystals have many zeros and ones.
    return np.where(
        abs(rotation - np.round(rotation)) < 1e-15, np.round(rotation), rotation
    )


def _products(subgroup: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """A subgroup and its cosets by the others."""
    return np.concatenate([subgroup, *(subgroup @ other for other in others)])


def _require_order(where: str, n: int) -> None:
    if n < 1:
        raise ValueError(f"{where}: expected `n` of at least 1, got {n}.")
