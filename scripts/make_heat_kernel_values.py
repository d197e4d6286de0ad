"""Writes benchmarks/data/heat_kernels.json: 50 digits of heat kernels and their scores.

    python -m scripts.make_heat_kernel_values

Each row is [variance, distance, supplement, log_prob, score]. The variance and one of
the distance r and its supplement pi - r are float32 numbers, and exact; the other of
the two is null. `score` is d log p / dr. The two last are strings of 50 digits.

All is computed with mpmath, by formulas that the library does not use or with at least
60 digits more than are written:

- spheres from the variance on where eigenfunctions need few digits: their series, with
  as many digits as its terms cancel. Below: the inverse Laplace transform of the
  resolvent, by the trapezoidal rule with about 100 nodes on a parabola. The script
  stops where the two differ by 1e-48 in the range where both are computed.
- circles and SO(3): sums over geodesics.
- H^2: McKean's integral by the trapezoidal rule in y, s^2 = r^2 + 2 v y^2.
- H^3: the closed form.
"""

import json
import pathlib

import mpmath as mp
import numpy as np


DIGITS = 50
FILE = pathlib.Path(__file__).parents[1] / "benchmarks/data/heat_kernels.json"
DIMS = [1, 2, 3, 4, 5, 8, 9, 10, 15, 16, 17, 31, 43, 45, 46, 60, 80, 96, 104, 108, 125]
DIMS += [127, 200, 255, 256, 400, 511]
# Where the library before version 0.2.0 was wrong.
ONCE_WRONG = {
    45: [(0.01, 0.671), (0.1, 1.5)],
    46: [(1e-3, 0.214)],
    60: [(1e-4, 0.3)],
    104: [(1e-4, 0.3)],
}


def float32(x):
    return float(np.float32(x))


def grid(dim, variances):
    """Pairs of a variance and a distance or a supplement, which are float32 numbers:
    near 0 and near pi at the scales on which the kernel changes there, in between, and
    where samples are."""
    for v in variances:
        scale = v**0.5
        near = [0.0, 0.3 * scale, (dim * v) ** 0.5, 0.5, 1.5, 2.9]
        far = [scale, 10 * v, v, 0.1 * v, 0.0]
        for r in near:
            if r < 3.0:
                yield float32(v), float32(r), None
        for supplement in far:
            if supplement < 1.5:
                yield float32(v), None, float32(supplement)


def distances(distance, supplement):
    if distance is None:
        return mp.pi - mp.mpf(supplement)
    return mp.mpf(distance)


def sphere_switch(dim):
    """Where the library goes from one formula to another."""
    return min(1.0, max(5 / dim, 2 / dim * float(mp.log(1.25 * (dim + 1)))))


def sphere_rows(dim):
    switch = sphere_switch(dim)
    variances = [1e-6, 1e-4, 0.05 / dim, 1 / dim, 0.999 * switch, 1.001 * switch]
    points = list(grid(dim, [*variances, 2 * switch, 5.0, 50.0]))
    points += [(float32(v), float32(r), None) for v, r in ONCE_WRONG.get(dim, [])]
    for v, distance, supplement in points:
        if v < 0.4 * switch:
            value = sphere_contour(dim, v, distance, supplement)
        else:
            value = sphere_series(dim, v, distance, supplement)
            if v < switch:
                other = sphere_contour(dim, v, distance, supplement)
                pairs = zip(value, other, strict=True)
                assert all(
                    abs(a - b) <= mp.mpf(10) ** -48 * (1 + abs(a)) for a, b in pairs
                )
        yield [v, distance, supplement, *value]


def sphere_series(dim, v, distance, supplement):
    v = mp.mpf(v)
    here = _gegenbauer_sum(dim, distances(distance, supplement), v, 100)
    with mp.workdps(30):
        # The terms are as large as their sum at distance 0.
        peak = _gegenbauer_sum(dim, mp.mpf(0), v, 30)
        digits = 100
    while True:
        with mp.workdps(digits):
            r = distances(distance, supplement)
            here = _gegenbauer_sum(dim, r, v, digits)
            lost = int(mp.log10(peak / abs(here))) if here else digits
        if here > 0 and digits - lost > DIGITS + 20:
            break
        digits += max(lost, 50)
    with mp.workdps(digits):
        above = _gegenbauer_sum(dim + 2, r, v, digits)
        slope = 2 * mp.pi * mp.exp(-dim * v / 2) * above / here
        return mp.log(here), -mp.sin(r) * slope


def _gegenbauer_sum(dim, r, v, digits):
    with mp.workdps(digits):
        u, before, total, l = mp.cos(r), mp.mpf(1), mp.mpf(1), 1
        now = u
        while True:
            size = mp.binomial(l + dim, dim)
            size -= mp.binomial(l + dim - 2, dim) if l > 1 else 0
            weight = size * mp.exp(-l * (l + dim - 1) * v / 2)
            total += weight * now
            if weight < mp.mpf(10) ** -digits:
                break
            after = (2 * l + dim - 1) * u * now - l * before
            before, now, l = now, after / (l + dim - 1), l + 1
        half = mp.mpf(dim + 1) / 2
        return total * mp.gamma(half) / (2 * mp.pi**half)


def sphere_contour(dim, v, distance, supplement):
    if dim == 1:
        return images(v, distance, supplement, alternate=False)
    with mp.workdps(DIGITS + 60):
        v, r, p = mp.mpf(v), distances(distance, supplement), mp.mpf(dim - 1) / 2
        vertex = _saddle(p, r, v) + 12
        step = mp.mpf("0.12") / mp.sqrt(vertex)
        total = slope = mp.mpf(0)
        first, k = None, 0
        while True:
            u = mp.mpc(1, (k + mp.mpf("0.5")) * step)
            zeta = -vertex * u * u
            s = mp.sqrt(r * r + 2 * v * zeta)
            s = s if mp.im(s) < 0 else -s
            # The logarithm of (cos s - cos r) / v, continued along the parabola.
            phases = (mp.log(1 - mp.expj(-(s - x))) for x in (r, -r))
            log_gap = mp.mpc(0, 1) * s + sum(phases) - mp.log(2 * v)
            exponent = -zeta - p * log_gap
            first = mp.re(exponent) if first is None else first
            f = mp.exp(exponent - first) * u
            total += mp.re(f)
            slope += mp.re(f * mp.exp(-log_gap))
            if abs(f) < mp.mpf(10) ** -(DIGITS + 30):
                break
            k += 1
        log_p = mp.log(2 * vertex * step / mp.pi * total) + first + mp.loggamma(p)
        log_p += p * p * v / 2 - mp.mpf(dim) / 2 * mp.log(2 * mp.pi * v)
        return log_p - r * r / (2 * v), -mp.sin(r) * p / v * slope / total


def _saddle(p, r, v):
    """Where p v sin s / s = cos s - cos r, as -zeta, to a percent."""

    def beyond(rho):
        s = mp.sqrt(mp.mpc(r * r - 2 * v * p * rho))
        return mp.re(mp.cos(s) - mp.cos(r) - p * v * mp.sin(s) / s) > 0

    rho = mp.mpf(1)
    while not beyond(rho) and rho < 50:
        rho *= mp.mpf("1.02")
    return rho * p


def images(v, distance, supplement, alternate):
    """The circle, or SO(3), where the terms alternate and are odd."""
    with mp.workdps(DIGITS + 60 + (30 if alternate else 0)):
        v, r = mp.mpf(v), distances(distance, supplement)
        count = 2 + int(mp.sqrt(2 * v * 300) / (2 * mp.pi))
        total = slope = mp.mpf(0)
        for k in range(-count, count + 1):
            a = r + 2 * mp.pi * k
            weight = mp.exp((r**2 - a**2) / (2 * v))
            if alternate:
                total += (-1) ** k * a * weight
                slope += (-1) ** k * (1 - a * a / v) * weight
            else:
                total += weight
                slope -= a / v * weight
        power = mp.mpf(3 if alternate else 1) / 2
        log_p = -(r**2) / (2 * v) - power * mp.log(2 * mp.pi * v)
        if not alternate:
            return log_p + mp.log(total), slope / total
        log_p += v / 8
        if r == 0:
            return log_p + mp.log(slope), mp.mpf(0)
        score = slope / total - mp.cot(r / 2) / 2
        return log_p + mp.log(total / (2 * mp.sin(r / 2))), score


def rotation_rows():
    variances = [1e-6, 1e-4, 1e-2, 0.3, 0.999, 1.001, 3.0, 10.0, 50.0]
    for point in grid(3, variances):
        yield [*point, *images(*point, alternate=True)]


def circle_rows():
    # Angles are floats: none is at a given distance from pi, which is not.
    for v in [1e-6, 1e-4, 1e-2, 0.3, 0.999, 1.001, 3.0, 10.0, 50.0]:
        far = [mp.pi - d for d in (v**0.5, 10 * v, v, 0.1 * v)]
        for r in [0.0, 0.3 * v**0.5, 2 * v**0.5, 0.5, 1.5, 2.9, *map(float, far)]:
            if 0 <= r < float(mp.pi):
                r = min(float32(r), 3.1415925)
                point = (float32(v), float32(r), None)
                yield [*point, *images(*point, alternate=False)]


def hyperbolic_rows(dim):
    for v in [1e-6, 1e-4, 1e-2, 0.3, 1.0, 5.0, 50.0]:
        for r in [0.0, 0.3 * v**0.5, 2 * v**0.5, 1e-3, 0.5, 2.0, 8.0, 30.0]:
            point = (float32(v), float32(r))
            with mp.workdps(DIGITS + 60):
                value = (mckean if dim == 2 else closed_form)(*map(mp.mpf, point))
            yield [*point, None, *value]


def closed_form(v, r):
    log_p = -mp.log(2 * mp.pi * v) * 3 / 2 - v / 2 - r * r / (2 * v)
    if r == 0:
        return log_p, mp.mpf(0)
    return log_p + mp.log(r / mp.sinh(r)), 1 / r - mp.coth(r) - r / v


def mckean(v, r):
    # The nearest poles are where s = r + 2 pi i.
    step = mp.mpf("0.25") / mp.sqrt(1 + v)
    total = slope = mp.mpf(0)
    k = 0
    while True:
        y = (k + mp.mpf("0.5")) * step
        s = mp.sqrt(r * r + 2 * v * y * y)
        gap = mp.cosh(s) - mp.cosh(r)
        f = mp.exp(-y * y) * y / mp.sqrt(gap)
        total += f
        slope -= f * (mp.sinh(s) * r / s - mp.sinh(r)) / (2 * gap)
        if f < total * mp.mpf(10) ** -(DIGITS + 20):
            break
        k += 1
    log_p = mp.log(mp.sqrt(2) * 2 * v * step * total) - v / 8 - r * r / (2 * v)
    return log_p - mp.log(2 * mp.pi * v) * 3 / 2, slope / total - r / v


def main():
    values = {"circle": circle_rows(), "rotation": rotation_rows()}
    values |= {f"hyperbolic {dim}": hyperbolic_rows(dim) for dim in (2, 3)}
    values |= {f"sphere {dim}": sphere_rows(dim) for dim in DIMS}
    lines = []
    with mp.workdps(DIGITS + 60):
        for name, rows in values.items():
            text = [
                json.dumps([*r[:3], *(mp.nstr(x, DIGITS) for x in r[3:])]) for r in rows
            ]
            lines.append(f'"{name}": [\n' + ",\n".join(text) + "\n]")
            print(name, len(text), flush=True)
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
