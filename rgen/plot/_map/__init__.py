"""What is drawn on a map."""

from ._animate import animate as animate
from ._arrows import arrows as arrows
from ._coastlines import coastlines as coastlines
from ._density import color_bar as color_bar, density as density, grid as grid
from ._frame import frame as frame
from ._legend import legend as legend
from ._points import points as points
from ._trajectories import trajectories as trajectories
