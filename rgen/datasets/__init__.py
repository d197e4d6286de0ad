"""Data on spheres and tori, and ways to split them."""

from ._coastlines import coastlines as coastlines
from ._degrees import to_degrees as to_degrees, to_unit as to_unit
from ._earth import (
    earthquake as earthquake,
    fire as fire,
    flood as flood,
    volcano as volcano,
)
from ._places import (
    populated_places as populated_places,
    populations as populations,
)
from ._side_chains import (
    SideChains as SideChains,
    cysteine as cysteine,
    glutamine as glutamine,
    histidine as histidine,
    lysine as lysine,
    methionine as methionine,
    tryptophan as tryptophan,
)
from ._split import (
    cell_split as cell_split,
    distinct as distinct,
    group_split as group_split,
    minibatch as minibatch,
    random_split as random_split,
)
