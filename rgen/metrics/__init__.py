"""Distances between samples: of a model and of the data, where a density alone says
too little."""

from ._between_halves import between_halves as between_halves
from ._biased_mmd import biased_mmd as biased_mmd
from ._frechet_distance import frechet_distance as frechet_distance
from ._permutation_test import (
    PermutationTestResult as PermutationTestResult,
    permutation_test as permutation_test,
)
from ._squared_mmd import squared_mmd as squared_mmd
from ._wasserstein import wasserstein as wasserstein
