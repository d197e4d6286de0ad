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

from ._density import color_bar as color_bar, density as density, grid as grid
from ._lines import coastlines as coastlines, frame as frame
from ._points import legend as legend, points as points
from ._projection import (
    AbstractProjection as AbstractProjection,
    Mollweide as Mollweide,
    Orthographic as Orthographic,
)
