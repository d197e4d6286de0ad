"""Histograms of angles."""

from ._corner import corner as corner
