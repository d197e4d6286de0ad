"""Solvers made for the probability flow."""

from ._adams_bashforth_moulton import AdamsBashforthMoulton as AdamsBashforthMoulton
from ._denoising_multistep import DenoisingMultistep as DenoisingMultistep
from ._noise_clock import NoiseClock as NoiseClock
