"""Geodesic solvers and the noise that drives them."""

from ._brownian_grid import BrownianGrid as BrownianGrid
from ._exponential import Exponential as Exponential
from ._geodesic_heun import GeodesicHeun as GeodesicHeun
from ._geodesic_random_walk import (
    GeodesicInterpolation as GeodesicInterpolation,
    GeodesicRandomWalk as GeodesicRandomWalk,
)
from ._munthe_kaas import MuntheKaas as MuntheKaas
from ._noise_term import NoiseTerm as NoiseTerm
from ._projection import ProjectionRetraction as ProjectionRetraction
from ._retraction import AbstractRetraction as AbstractRetraction
