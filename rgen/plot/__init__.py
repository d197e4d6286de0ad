"""Maps of the sphere: densities, samples and coastlines on Matplotlib axes.

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
    Mollweide as Mollweide,
    Orthographic as Orthographic,
    Plane as Plane,
    PoincareDisc as PoincareDisc,
    SurfaceView as SurfaceView,
)
from ._rotations import (
    color_wheel as color_wheel,
    euler_histograms as euler_histograms,
    frames as frames,
    rotations as rotations,
)
from ._training_curve import training_curve as training_curve
