"""Writes docs/speed.md and docs/reliability.md: the templates of `benchmarks/page`,
filled in from the committed lines, `benchmarks/results/*.jsonl`.

    python -m benchmarks.report
"""

import json

from ._page import fill, table
from ._versions import ROOT


DOCS, TEMPLATES = ROOT / "docs", ROOT / "benchmarks" / "page"
NAMES = {"S2": "$S^2$", "T2": "$T^2$", "T6": "$T^6$", "SO3": "$SO(3)$"}
DTYPES = "float32", "float64"
SPHERES = {"Sphere, d ≤ 9": range(1, 10), "Sphere, d from 10 to 511": range(10, 512)}


def lines(benchmark: str) -> list[dict]:
    path = ROOT / "benchmarks" / "results" / f"{benchmark}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def columns(benchmark: str, **heads: str) -> str:
    """A table of fields of the lines of a benchmark, by the heads of its columns."""
    rows = ([cell(line.get(field, "")) for field in heads] for line in lines(benchmark))
    return table(heads.values(), rows)


def cell(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int) else NAMES.get(str(value), str(value))


def accuracy() -> str:
    """The worst errors of each family of manifolds."""
    worst: dict[str, dict[str, float]] = {}
    for line in lines("accuracy"):
        errors = worst.setdefault(family(line["manifold"]), {})
        for field in ("worst_score", "worst_log_prob"):
            key = f"{field} {line['dtype']}"
            errors[key] = max(errors.get(key, 0.0), line[field])
    fields = [f"{f} {d}" for f in ("worst_score", "worst_log_prob") for d in DTYPES]
    rows = [[name, *(f"{errors[f]:.0e}" for f in fields)]
            for name, errors in sorted(worst.items())]  # fmt: skip
    head = [f"{what}, {dtype}" for what in ("score", "log p") for dtype in DTYPES]
    return table(["", *head], rows)


def family(manifold: str) -> str:
    name, _, size = manifold.rstrip(")").partition("(")
    size = int(size.partition("=")[2])
    if name == "Sphere":
        return next(k for k, dims in SPHERES.items() if size in dims)
    return "Torus, d ≤ 100" if name == "Torus" else f"{name}({size})"


def speed() -> dict[str, str]:
    walk = lines("solver")[0]
    ratio = dict(ratio="ratio")
    return {
        "accuracy": accuracy(),
        "training": columns("training", manifold="", step_ms="denoising, ms",
                            bare_ms="bare network, ms", **ratio),
        "features": columns("features", what="", rgen_ms="rgen, ms", jax_ms="JAX, ms",
                            **ratio),
        "paths": cell(walk["paths"]),
        "steps": cell(walk["steps"]),
        "solver": columns("solver", manifold="", diffeqsolve_ms="Diffrax, ms",
                          scan_ms="by hand, ms", **ratio),
        "sampling": columns(
            "sampling", manifold="", reverse_sde_per_second="reverse SDE, 100",
            few_steps_per_second="multistep, 10", few_steps_ratio="ratio",
            flow_map_per_second="map, 1", flow_map_ratio="ratio"),
        "density_steps": columns(
            "density_steps", solver="", setting="tolerance, or steps",
            evaluations="evaluations, mean", most_evaluations="most",
            error="mean error, nats", worst_error="largest error", seconds="s"),
        "likelihood": columns(
            "likelihood", manifold="", before_density_s="density before, s",
            after_density_s="density, s", before_over_passes="divergence ratio before",
            after_over_passes="divergence ratio"),
        "memory": columns(
            "memory", task="", before_peak_mb="before, MB", peak_mb="MB",
            before_seconds="before, s", seconds="s"),
        "cold_start": columns("cold_start", kind="", before_s="before, s",
                              after_s="now, s", cached_s="cached, s"),
    }  # fmt: skip


def reliability() -> dict[str, str]:
    faults = lines("planted_faults")
    rows = [[line["what"], f"`{test_of(line)}`"] for line in faults]
    return {
        "campaigns": columns(
            "reliability", what="", cases="cases", examples="examples of each",
            failures="failures", seconds="s"),
        "fault_count": str(len(faults)),
        "faults": table(["fault", "noticed by"], rows),
        "environments": columns(
            "environments", versions="", python="Python", jax="JAX",
            equinox="Equinox", diffrax="Diffrax", numpy="NumPy", cases="tests",
            failures="failures"),
        "long_runs": columns(
            "long_runs", what="", megabytes="MB after a tenth",
            megabytes_after="MB at the end", grown="more, MB"),
    }  # fmt: skip


def test_of(line: dict) -> str:
    return line["by"].partition("::")[2] if line["caught"] else "nothing"


PAGES = {"speed": speed, "reliability": reliability}


def page(name: str) -> str:
    return fill(TEMPLATES / f"{name}.md", PAGES[name]()) + "\n"


def main() -> None:
    for name in PAGES:
        path = DOCS / f"{name}.md"
        path.write_text(page(name), "utf-8")
        print(f"written: {path}")


if __name__ == "__main__":
    main()
