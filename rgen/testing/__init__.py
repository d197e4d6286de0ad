"""The contract of a manifold, as a function to test your own with."""

from ._check_manifold import (
    ManifoldReport as ManifoldReport,
    check_manifold as check_manifold,
)
