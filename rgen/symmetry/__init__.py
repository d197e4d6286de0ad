"""Finite groups of isometries, and fields and distributions that they leave alone."""

from ._finite_group import FiniteGroup as FiniteGroup
from ._groups import (
    antipodes as antipodes,
    half_turns as half_turns,
    right_rotations as right_rotations,
)
from ._point_groups import (
    cyclic as cyclic,
    dihedral as dihedral,
    octahedral as octahedral,
    tetrahedral as tetrahedral,
)
from ._symmetrised import (
    SymmetrisedDistribution as SymmetrisedDistribution,
    SymmetrisedField as SymmetrisedField,
)
