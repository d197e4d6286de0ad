"""Distances between samples: of a model and of the data, where a density alone says
too little."""

from ._squared_mmd import squared_mmd as squared_mmd
from ._wasserstein import wasserstein as wasserstein
