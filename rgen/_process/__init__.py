"""Noising processes."""

from ._base import AbstractProcess as AbstractProcess
from ._brownian import Brownian as Brownian
from ._langevin import Langevin as Langevin
from ._ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
from ._power import PowerProcess as PowerProcess
from ._product import ProductProcess as ProductProcess
