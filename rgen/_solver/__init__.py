"""Geodesic solvers and the noise that drives them."""

from ._brownian_grid import BrownianGrid as BrownianGrid
from ._geodesic_random_walk import (
    GeodesicInterpolation as GeodesicInterpolation,
    GeodesicRandomWalk as GeodesicRandomWalk,
)
from ._noise_term import NoiseTerm as NoiseTerm
