"""Numbers on a command line."""

import math
from argparse import ArgumentTypeError


def count(text: str) -> int:
    """A whole number from 1 on."""
    return _whole(text, 1, "a whole number from 1 on")


def seed_number(text: str) -> int:
    """A whole number that JAX makes a key of: of larger ones it takes the remainder, so
    that two of them might be one."""
    return _whole(text, 0, "a whole number from 0 on, below 2^32", 2**32)


def fraction(text: str) -> float:
    """A number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise ArgumentTypeError(f"expected it in (0, 1), got {text}")
    return value


def _whole(text: str, least: int, what: str, end: float = float("inf")) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value < end:
        raise ArgumentTypeError(f"expected {what}, got {text}")
    return value
