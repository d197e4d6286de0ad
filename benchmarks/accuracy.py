"""How accurate the heat kernels are, against 50 digits computed with mpmath.

    python -m benchmarks.accuracy [NAME ...]

prints one JSON line for each manifold and dtype, or for those whose name contains one
of the arguments. The stored values are those of scripts/make_heat_kernel_values.py:
variances from 1e-6 to 50 and distances from 0 to the cut locus.

- `worst_score`: the largest relative error of the score where its length is above 1e-3.
- `worst_small_score`: the largest absolute error where it is below.
- `worst_log_prob`: the largest error of log_prob over the size of its terms, the
  largest of 1, |log p|, d / 2 |log 2 pi v| and r^2 / 2v.
- `worst_log_prob_relative`: the same over the larger of 1 and |log p|, which the
  rounding of the terms bounds from below where they cancel.
- `worst_at`: variance and distance, or its supplement pi - r, of `worst_score`.

Variances and distances are numbers of float32, exact in both dtypes. Points lie where
their arrays determine the distance and its supplement to a rounding: at the origin and
on a coordinate plane, axis of rotation or coordinate axis. In general position a
rounded array does not do so near the cut locus or, on hyperbolic space, far out,
whatever the kernel does with it.
"""

import contextlib
import decimal
import json
import math
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rgen


VALUES = pathlib.Path(__file__).parent / "data/heat_kernels.json"
DTYPES = (np.float32, np.float64)
TORI = (1, 2, 10, 100)


class Case(NamedTuple):
    """Points of a manifold, as functions of the stored rows, and what is right there.

    - `rows`: variance, distance or None, supplement or None, for each point.
    - `start`, `points`: arrays in float64, rounded only when the dtype is chosen.
    - `log_prob`, `score`: decimals, the score along the unit vectors `away`.
    """

    manifold: Any
    rows: Sequence[tuple[float, float | None, float | None]]
    start: np.ndarray
    points: np.ndarray
    log_prob: np.ndarray
    score: np.ndarray


def cases(names: tuple[str, ...] = ()) -> Iterator[Case]:
    """The cases whose name, such as `Sphere(dim=2)`, contains one of `names`."""
    values = json.loads(VALUES.read_text())
    manifolds: list[tuple[Any, Callable[..., Case]]]
    for name, rows in values.items():
        kind, _, dim = name.partition(" ")
        if kind == "circle":
            manifolds = [(rgen.Torus(d), _torus) for d in TORI]
        elif kind == "rotation":
            manifolds = [(rgen.SpecialOrthogonal(3), _rotation)]
        elif kind == "hyperbolic":
            manifolds = [(rgen.Hyperbolic(int(dim)), _hyperbolic)]
        else:
            manifolds = [(rgen.Sphere(int(dim)), _sphere)]
        for manifold, case in manifolds:
            if not names or any(name in str(manifold) for name in names):
                yield case(manifold, rows)


def _exact(rows: list, column: int) -> np.ndarray:
    return np.array([decimal.Decimal(row[column]) for row in rows])


def _polar(rows: list) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine, each to rounding whichever of r and pi - r is known."""
    far = np.array([row[1] is None for row in rows])
    angle = np.array([row[2] if row[1] is None else row[1] for row in rows])
    return np.where(far, -1, 1) * np.cos(angle), np.sin(angle)


def _sphere(manifold: rgen.Sphere, rows: list) -> Case:
    cos, sin = _polar(rows)
    start, x, away = np.zeros((3, len(rows), manifold.dim + 1))
    start[:, 0], x[:, 0], x[:, 1] = 1, cos, sin
    away[:, 0], away[:, 1] = -sin, cos
    return _case(manifold, rows, start, x, away)


def _rotation(manifold: rgen.SpecialOrthogonal, rows: list) -> Case:
    cos, sin = _polar(rows)
    start = np.broadcast_to(np.eye(3), (len(rows), 3, 3))
    x = start.copy()
    x[:, 0, 0], x[:, 0, 1], x[:, 1, 0], x[:, 1, 1] = cos, -sin, sin, cos
    away = np.zeros_like(x)
    away[:, 0, 0], away[:, 0, 1], away[:, 1, 0], away[:, 1, 1] = -sin, -cos, cos, -sin
    return _case(manifold, rows, start, x, away)


def _hyperbolic(manifold: rgen.Hyperbolic, rows: list) -> Case:
    start, x, away = np.zeros((3, len(rows), manifold.dim))
    x[:, 0], away[:, 0] = [row[1] for row in rows], 1
    return _case(manifold, rows, start, x, away)


def _torus(manifold: rgen.Torus, rows: list) -> Case:
    """Each row stands for its angle and the next ones at the same variance."""
    index = np.arange(len(rows))
    variance = np.array([row[0] for row in rows])
    which = np.empty((len(rows), manifold.dim), int)
    for i in index:
        same = index[variance == variance[i]]
        which[i] = np.roll(same, -int(np.flatnonzero(same == i)[0]))[
            np.arange(manifold.dim) % len(same)
        ]
    angle = np.array([row[1] for row in rows])[which]
    points = [(row[0], row[1], None) for row in rows]
    log_prob, score = _exact(rows, 3)[which].sum(axis=1), _exact(rows, 4)[which]
    return Case(manifold, points, np.zeros_like(angle), angle, log_prob, score)


def _case(
    manifold: Any, rows: list, start: np.ndarray, x: np.ndarray, away: np.ndarray
) -> Case:
    slope = np.array([float(row[4]) for row in rows])
    score = slope.reshape(-1, *[1] * (x.ndim - 1)) * away
    points = [tuple(row[:3]) for row in rows]
    return Case(manifold, points, start, x, _exact(rows, 3), score)


def measure(case: Case, dtype: Any) -> dict[str, Any]:
    """The worst errors of a case in a dtype."""
    double = dtype == np.float64
    with jax.enable_x64(True) if double else contextlib.nullcontext():
        kernel = rgen.heat_kernel(case.manifold)
        both = lambda x0, x, v: (kernel.log_prob(x0, x, v), kernel.score(x0, x, v))
        variance = np.array([row[0] for row in case.rows])
        inputs = (case.start, case.points, variance)
        inputs = (jnp.asarray(np.asarray(y).astype(dtype)) for y in inputs)
        log_prob, score = jax.jit(jax.vmap(both))(*inputs)
    assert log_prob.dtype == score.dtype == dtype
    exact = case.score.astype(float).reshape(len(case.rows), -1)
    found = np.asarray(score, np.float64).reshape(exact.shape)
    # The metric of SO(3) is half that of the matrices.
    unit = math.sqrt(2 if isinstance(case.manifold, rgen.SpecialOrthogonal) else 1)
    size = np.linalg.norm(exact, axis=1) / unit
    error = np.linalg.norm(found - exact, axis=1) / unit
    large = size > 1e-3
    relative = np.where(large, error / np.where(large, size, 1), 0)
    worst = int(np.argmax(np.where(np.isfinite(found).all(axis=1), relative, np.inf)))
    log_error = _difference(log_prob, case.log_prob)
    log_size = np.maximum(1, np.abs(case.log_prob.astype(float)))
    terms = np.maximum(log_size, _terms(case, variance))
    variance, distance, supplement = case.rows[worst]
    where = {"variance": variance, "distance": distance, "supplement": supplement}
    return {
        "benchmark": "accuracy",
        "manifold": str(case.manifold),
        "dtype": np.dtype(dtype).name,
        "worst_score": _number(relative[worst]),
        "worst_small_score": _number(np.max(np.where(large, 0, error))),
        "worst_log_prob": _number(np.max(log_error / terms)),
        "worst_log_prob_relative": _number(np.max(log_error / log_size)),
        "worst_at": {key: value for key, value in where.items() if value is not None},
        "points": len(case.rows),
    }


def _difference(found: Any, exact: np.ndarray) -> np.ndarray:
    pairs = zip(np.asarray(found, np.float64), exact, strict=True)
    return np.array([float(abs(decimal.Decimal(float(a)) - b)) for a, b in pairs])


def _terms(case: Case, variance: np.ndarray) -> np.ndarray:
    dim = case.manifold.dim
    if isinstance(case.manifold, rgen.Torus):
        square = np.sum(case.points**2, axis=1)
    else:
        square = np.array([_distance(row) ** 2 for row in case.rows])
    normaliser = dim / 2 * np.abs(np.log(2 * math.pi * variance))
    return np.maximum(normaliser, square / (2 * variance))


def _distance(row: tuple[float, float | None, float | None]) -> float:
    return math.pi - (row[2] or 0.0) if row[1] is None else row[1]


def _number(x: Any) -> float:
    return float(f"{float(x):.2e}")


def main() -> None:
    for case in cases(tuple(sys.argv[1:])):
        for dtype in DTYPES:
            print(json.dumps(measure(case, dtype)), flush=True)


if __name__ == "__main__":
    main()
