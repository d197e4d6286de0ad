"""Pictures of manifolds: densities, samples, paths and fields on Matplotlib axes.

A *projection* maps a manifold of two dimensions to the plane:

| manifold | projection |
|---|---|
| `rgen.Sphere(2)`, whole | [`Mollweide`][rgen.plot.Mollweide] |
| half of it, as a globe | [`Orthographic`][rgen.plot.Orthographic] |
| `rgen.Torus(2)` | [`AnglePlane`][rgen.plot.AnglePlane] |
| `rgen.Hyperbolic(2)` | [`PoincareDisc`][rgen.plot.PoincareDisc] |
| `rgen.Euclidean(2)`, or a metric | [`Coordinates`][rgen.plot.Coordinates] |
| a surface in space | [`SurfaceView`][rgen.plot.SurfaceView] |

Each function draws one thing on axes that it is given, in one projection, and returns
the Matplotlib artist, which you can change. Matplotlib comes with
`pip install 'rgen-manifold[notebooks]'`.

```python
figure, ax = plt.subplots()
projection = rgen.plot.Mollweide()
x = rgen.plot.grid(projection)
rgen.plot.frame(ax, projection)
image = rgen.plot.density(ax, projection, rgen.log_prob(model, x))
rgen.plot.coastlines(ax, projection)
rgen.plot.points(ax, projection, test, color="gold", label="held out")
rgen.plot.color_bar(ax, image)
rgen.plot.legend(ax)
```

Other manifolds:

- angles, the points of `rgen.Torus(n)`: [`corner`][rgen.plot.corner];
- rotations, `rgen.SpecialOrthogonal(3)`: [`rotations`][rgen.plot.rotations],
  [`euler_histograms`][rgen.plot.euler_histograms] and [`triads`][rgen.plot.triads],
  which draws poses too;
- products and powers: take a point apart, and draw each part.

Maps and diagrams have a light paper of their own. On a dark page, draw under
`plt.style.context("dark_background")`, which makes the text around them light, and save
with `transparent=True`.
"""

from ._angles import corner as corner
from ._map import (
    animate as animate,
    arrows as arrows,
    coastlines as coastlines,
    color_bar as color_bar,
    density as density,
    frame as frame,
    grid as grid,
    legend as legend,
    points as points,
    trajectories as trajectories,
)
from ._projection import (
    AbstractProjection as AbstractProjection,
    AbstractSphereProjection as AbstractSphereProjection,
    AnglePlane as AnglePlane,
    Coordinates as Coordinates,
    Mollweide as Mollweide,
    Orthographic as Orthographic,
    PoincareDisc as PoincareDisc,
    SurfaceView as SurfaceView,
)
from ._rotations import (
    color_wheel as color_wheel,
    euler_histograms as euler_histograms,
    rotations as rotations,
    triads as triads,
)
from ._training_curve import training_curve as training_curve
