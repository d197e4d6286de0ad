"""Solvers made for the probability flow."""

from ._denoising_multistep import DenoisingMultistep as DenoisingMultistep
from ._noise_clock import NoiseClock as NoiseClock
