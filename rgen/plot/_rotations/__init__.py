"""Pictures of rotations."""

from ._color_wheel import color_wheel as color_wheel
from ._euler import euler_histograms as euler_histograms
from ._frames import frames as frames
from ._rotations import rotations as rotations
