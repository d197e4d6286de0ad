"""Maps of the sphere: projections, densities, points and coastlines."""

from ._plot import (
    AbstractProjection as AbstractProjection,
    Mollweide as Mollweide,
    Orthographic as Orthographic,
    coastlines as coastlines,
    color_bar as color_bar,
    density as density,
    frame as frame,
    grid as grid,
    legend as legend,
    points as points,
)
