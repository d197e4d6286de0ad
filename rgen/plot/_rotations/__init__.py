"""Pictures of rotations."""

from ._color_wheel import color_wheel as color_wheel
from ._euler import euler_histograms as euler_histograms
from ._rotations import rotations as rotations
from ._triads import triads as triads
