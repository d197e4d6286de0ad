"""The figures of the pages of results, from committed results or from a seed.

    python -m experiments.figures bound torus trajectory few_steps densities
    python -m experiments.figures ramachandran earth rotations hyperbolic

The first five take seconds, or a minute; the others train the models that they show,
by the settings of the experiments with seed 0, in over an hour on one core.
"""

import argparse
import math
import pathlib

import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle
from matplotlib.ticker import NullLocator

import rgen
from benchmarks.report import lines as benchmark_lines

from . import earth, hyperbolic, rotations, side_chains
from ._losses import denoising_loss
from ._report._bound import SWEEPS
from ._report._few_steps import NAMES as SAMPLERS, SOLVERS, title
from ._report._lines import ROOT, grouped
from ._report._tables import NAMES, methods_in
from ._training import log_probs, minibatches, samples_of, train
from .few_steps import CURVES
from .torus import ENTROPY
from .wasserstein_bound import MANIFOLDS


ASSETS = ROOT / "docs" / "assets"
INK, BLUE, RED, GREEN = "#2b2b2b", "#1f4e79", "#d1342f", "#2f7f6f"
COLORS = [BLUE, RED, GREEN, "#b07d2b", "#7a5c99"]


def bound():
    """The distance of samples and target against each term of the bound; dashed, the
    slope of the bound."""
    groups = grouped("wasserstein_bound", "manifold", "sweep")
    figure, axes = plt.subplots(1, len(SWEEPS), figsize=(15, 3.4), layout="constrained")
    for ax, (sweep, (label, of, slope)) in zip(axes, SWEEPS.items(), strict=True):
        for (manifold, (space, _)), color in zip(
            MANIFOLDS.items(), COLORS, strict=False
        ):
            group = groups.get((manifold, sweep), [])
            if not group:
                continue
            x, y = np.array([of(g) for g in group]), [g["w1"] for g in group]
            ax.plot(x, y, "o-", color=color, label=manifold, markersize=4)
            ax.axhline(group[0]["noise"], color=color, linewidth=0.6, linestyle=":")
            # The slope of the bound, whose constant is not known: above all points.
            shape = np.exp(slope(space) * x)
            ax.plot(x, 2 * max(y / shape) * shape, "--", color=color)
        ax.set_yscale("log")
        ax.set_xlabel(label)
    axes[0].set_ylabel("$W_1$ (radians)")
    axes[0].legend(frameon=False)
    return figure


def torus():
    """Likelihood and time of a step against the dimension."""
    groups = grouped("torus", "method", "dim")
    timed = grouped("torus_times", "method", "dim") | groups
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for method, color in zip(methods_in(groups), COLORS, strict=False):
        curves = (axes[0], groups, "nll_per_dim"), (axes[1], timed, "step_ms")
        for ax, lines, field in curves:
            dims = sorted(dim for name, dim in lines if name == method)
            y = [np.mean([line[field] for line in lines[method, dim]]) for dim in dims]
            ax.plot(dims, y, "o-", color=color, label=NAMES[method], markersize=4)
    axes[0].axhline(ENTROPY, color=INK, linestyle="--", linewidth=1, label="limit")
    axes[0].set_ylabel("NLL / n (nats)")
    axes[1].set_ylabel("ms per training step")
    axes[1].set_yscale("log")
    ticks = sorted({dim for _, dim in groups})
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xticks(ticks, [str(dim) for dim in ticks])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("n")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
    )
    return figure


def trajectory():
    """A step of the geodesic random walk, and a path of Brownian motion."""
    sphere, globe = rgen.Sphere(2), rgen.plot.Orthographic(longitude=20, latitude=25)
    degrees = lambda *pair: rgen.datasets.to_unit(*map(jnp.array, map(float, pair)))
    x = degrees(-45, 15)
    v = sphere.to_tangent(x, 1.4 * degrees(70, 60))
    figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    for ax in axes:
        rgen.plot.frame(ax, globe)
    s = jnp.linspace(0, 1, 60)
    geodesic = jax.vmap(lambda s: sphere.exp(x, s * v))(s)
    flat = jax.vmap(globe.forward)(geodesic)[0]
    ax = axes[0]
    ax.plot(*flat.T, color=BLUE, linewidth=2, zorder=9)
    start, arrow = (
        globe.forward(x)[0],
        jax.jvp(lambda y: globe.forward(y)[0], (x,), (v,))[1],
    )
    ax.annotate(
        "",
        start + arrow,
        start,
        arrowprops=dict(arrowstyle="->", color=RED, linewidth=2, shrinkA=0, shrinkB=0),
        zorder=9,
    )
    ax.plot(*flat[0], "o", color=INK, zorder=10)
    ax.plot(*flat[-1], "o", color=BLUE, zorder=10)
    ax.annotate("$x$", flat[0], xytext=(-12, -10), textcoords="offset points")
    ax.annotate("$v$", start + arrow, xytext=(4, 4), textcoords="offset points")
    ax.annotate(r"$\exp_x(v)$", flat[-1], xytext=(6, -12), textcoords="offset points")

    def step(y, key):
        y = sphere.exp(y, jnp.sqrt(0.4 / 2000) * sphere.tangent_noise(y, key))
        return y, y

    _, path = jax.lax.scan(step, x, jr.split(jr.key(3), 2000))
    uv, visible = jax.vmap(globe.forward)(path)
    uv = np.where(np.asarray(visible)[:, None], uv, np.nan)
    axes[1].plot(*uv.T, color=BLUE, linewidth=0.9, zorder=9)
    axes[1].plot(*uv[0], "o", color=INK, zorder=10)
    return figure


def earth_densities():
    """The learnt densities of the four earth sets, with their test points."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 6.6), layout="constrained")
    images = []
    world = rgen.plot.Mollweide()
    grid = rgen.plot.grid(world, pixels=120)
    for ax, name in zip(axes.flat, earth.DATASETS, strict=True):
        split_key, train_key, _ = jr.split(jr.key(0), 3)
        data, validation, test = earth.split(
            "legacy", split_key, earth.DATASETS[name]()
        )
        setting = earth.default_setting(name, "legacy")
        model = earth.rsgm(data, validation, setting, train_key).model
        rgen.plot.frame(ax, world)
        values = log_probs(model.log_prob, grid)
        images.append(rgen.plot.density(ax, world, values, pixels=120, span=40.0))
        rgen.plot.coastlines(ax, world)
        rgen.plot.points(ax, world, test, color=RED, size=2)
        ax.set_title(name)
    for image in images:
        # One scale for all; the clumps that are denser have the darkest colour.
        image.set_clim(-4, 4)
    rgen.plot.color_bar(list(axes.flat), images[-1])
    return figure


def rotation_histograms():
    """Euler angles of samples of the target with 32 components, and of the model."""
    target_key, train_key, test_key = jr.split(jr.key(0), 3)
    truth = rotations.target(32, target_key)
    size, steps = rotations.SIZE, rotations.STEPS
    model = rotations.rsgm(truth, size, steps, train_key).model
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    samples = {
        "target": samples_of(truth, 20_000)(test_key),
        "RSGM": samples_of(model, 20_000)(test_key),
    }
    for (label, x), color in zip(samples.items(), [INK, RED], strict=True):
        x = np.asarray(x)
        angles = {
            r"$\alpha$": np.arctan2(x[:, 1, 2], x[:, 0, 2]),
            r"$\beta$": np.arccos(np.clip(x[:, 2, 2], -1, 1)),
            r"$\gamma$": np.arctan2(x[:, 2, 1], -x[:, 2, 0]),
        }
        for ax, (name, values) in zip(axes, angles.items(), strict=True):
            low = 0 if name == r"$\beta$" else -math.pi
            ax.hist(
                values,
                bins=90,
                range=(low, math.pi),
                density=True,
                histtype="step",
                color=color,
                label=label,
            )
            ax.set_xlabel(name)
    axes[0].legend(frameon=False)
    return figure


def discs():
    """The target on the Poincaré disc, and the densities and samples of the models."""
    train_key, test_key = jr.split(jr.key(0))
    truth, plane = hyperbolic.target(), hyperbolic.PLANE
    models = {"target": truth}
    for name, method in hyperbolic.METHODS.items():
        models[NAMES[name]] = method(truth, hyperbolic.STEPS, train_key).model
    n = 220
    centre = (np.arange(n) + 0.5) * 2 / n - 1
    u, v = np.meshgrid(centre, centre)
    inside = np.hypot(u, v) < 0.995
    disc = jnp.asarray(np.stack([u[inside], v[inside]], 1), jnp.float32)
    points = jax.vmap(plane.from_poincare)(disc)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        image = np.full(inside.shape, np.nan)
        image[inside] = log_probs(model.log_prob, points)
        ax.imshow(
            np.maximum(image, -10),
            origin="lower",
            extent=(-1, 1, -1, 1),
            cmap="GnBu",
            vmin=-10,
            vmax=0.5,
        )
        x = jax.vmap(plane.to_poincare)(samples_of(model, 1000)(test_key))
        ax.plot(*np.asarray(x).T, ".", color=RED, markersize=2, alpha=0.5)
        ax.add_patch(Circle((0, 0), 1, fill=False, color=INK))
        ax.set_title(name)
        ax.set_axis_off()
    return figure


def ramachandran():
    """The density of the backbone of lysine, with the contours that hold 98 % and
    99.95 % of the training residues, and the shares of the held-out ones inside."""
    split_key, init_key, train_key = jr.split(jr.key(0), 3)
    data, _, test = side_chains.chain_split("lys", split_key)
    schedule = rgen.LogUniformSchedule(side_chains.MIN_VARIANCE)
    process = rgen.Brownian(side_chains.BACKBONE, schedule)
    size = dict(width=128, depth=3, frequencies=64, max_frequency=10.0)
    score = rgen.nn.ScoreField(process, **size, key=init_key)
    model = rgen.ScoreModel(score, process, flow=side_chains.FLOW)
    sample_batch = minibatches(data.c, side_chains.BATCH)
    model = train(model, denoising_loss, sample_batch, train_key, steps=3000).model
    square, pixels = rgen.plot.AnglePlane(), 180
    grid = rgen.plot.grid(square, pixels)
    log_density = log_probs(model.log_prob, grid)
    figure, ax = plt.subplots(figsize=(6, 6.8), layout="constrained")
    rgen.plot.frame(ax, square)
    image = rgen.plot.density(ax, square, log_density, pixels, span=10.0)
    rgen.plot.points(ax, square, test.c, color=INK, size=2)
    columns = (*np.rad2deg(grid).T, log_density)
    phi, psi, values = (np.asarray(a).reshape(pixels, pixels) for a in columns)
    for share, name, style in [(0.98, "favoured", "-"), (0.9995, "allowed", "--")]:
        level = np.quantile(_at_pixels(values, data.c), 1 - share)
        inside = np.mean(_at_pixels(values, test.c) >= level)
        ax.contour(phi, psi, values, [level], colors=RED, linestyles=style, zorder=9)
        label = f"{name}: {100 * share:g} % of the training residues, "
        label += f"{100 * inside:.2f} % of the held-out"
        ax.plot([], [], style, color=RED, label=label)
    ax.set(xlabel=r"$\phi$", ylabel=r"$\psi$")
    rgen.plot.color_bar(ax, image)
    figure.legend(loc="outside upper center", frameon=False)
    return figure


def _at_pixels(image, backbones):
    """The values of an image of the plane of two angles at points of it."""
    scaled = (np.asarray(backbones) + math.pi) * (len(image) / (2 * math.pi))
    phi, psi = scaled.astype(int).T % len(image)
    return image[psi, phi]


def few_steps():
    """The squared MMD of samples against the number of network evaluations."""
    groups = grouped("few_steps", "case", "method", "nfe")
    shown = {(c, m) for c, m, _ in groups if m != "ideal"}
    cases = [case for case in CURVES if any(key[0] == case for key in shown)]
    size = (4.5 * len(cases), 3.8)
    figure, axes = plt.subplots(
        1, len(cases), figsize=size, layout="constrained", squeeze=False
    )
    mean = lambda group: np.mean([line["squared_mmd"] for line in group])
    lines = {}
    for ax, case in zip(axes[0], cases, strict=True):
        for method, color in zip((*SOLVERS, "map"), [*COLORS, INK], strict=True):
            if (case, method) not in shown:
                continue
            counts = sorted(n for c, m, n in groups if (c, m) == (case, method))
            y = [mean(groups[case, method, n]) for n in counts]
            (lines[method],) = ax.plot(counts, y, "o-", color=color, markersize=4)
        floor = abs(mean(groups[case, "ideal", 0]))
        for side in (floor, -floor):
            ax.axhline(side, color=INK, linestyle="--", linewidth=0.8)
        ax.set_xscale("log")
        ax.set_xticks(counts := [1, 2, 4, 8, 16, 32, 64], counts)
        ax.xaxis.set_minor_locator(NullLocator())
        # Linear where it is noise.
        ax.set_yscale("symlog", linthresh=4 * floor)
        ax.set(xlabel="network evaluations", title=title(case))
    axes[0][0].set_ylabel("squared MMD")
    # Not every case has every method.
    names = [SAMPLERS[method] for method in lines]
    figure.legend(
        [*lines.values()],
        names,
        loc="outside lower center",  # pyright: ignore[reportArgumentType]
        ncols=len(names),
        frameon=False,
    )
    return figure


def densities():
    """The error of a density against the number of network evaluations."""
    figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    kinds: dict[str, list[dict]] = {}
    for line in benchmark_lines("density_steps"):
        kinds.setdefault(line["solver"], []).append(line)
    solvers = list(dict.fromkeys(kind.split(",")[0] for kind in kinds))
    for kind, lines in kinds.items():
        color = COLORS[solvers.index(kind.split(",")[0])]
        x, y = ([line[k] for line in lines] for k in ("evaluations", "error"))
        style = "o-" if "fixed" in kind else "s--"
        ax.plot(x, y, style, color=color, label=kind, markersize=4)
    ticks = [30, 60, 120, 240]
    ax.set(xscale="log", yscale="log", xticks=ticks, xticklabels=ticks)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="network evaluations, mean", ylabel="mean error (nats)")
    ax.legend(frameon=False)
    return figure


FIGURES = {
    "bound": bound,
    "torus": torus,
    "trajectory": trajectory,
    "earth": earth_densities,
    "rotations": rotation_histograms,
    "hyperbolic": discs,
    "ramachandran": ramachandran,
    "few_steps": few_steps,
    "densities": densities,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", choices=FIGURES, nargs="+")
    for name in parser.parse_args().figures:
        path: pathlib.Path = ASSETS / f"{name}.png"
        FIGURES[name]().savefig(path, dpi=110)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
