"""What the first call of each kind takes in a fresh process, here and in version 0.1.0.

    python -m benchmarks.cold_start

One line of JSON for each kind, with the median seconds of three processes of either
version, in turns: importing Diffrax alone, with JAX and Equinox; importing rgen, which
needs them; the first training step of the globe, a batch of 512 places with the
denoising loss; the first sample and the first density of the model, less the second;
and the first sample of the heat kernel of SO(3), which makes a table. `cached_s` are
the seconds of this version in a process that finds JAX's persistent compilation cache
filled by an earlier one.
"""

# Runs under two versions of rgen.
# pyright: reportCallIssue=false

import json
import sys
import tempfile
import time


def elapsed(f, *args):
    import jax

    start = time.perf_counter()
    jax.block_until_ready(f(*args))
    return time.perf_counter() - start


def once():
    start = time.perf_counter()
    import diffrax  # noqa: F401

    diffrax_s = time.perf_counter() - start
    import rgen

    import_s = time.perf_counter() - start
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import optax

    old = rgen.__version__ == "0.1.0"
    data = rgen.datasets.populated_places()
    process = rgen.Brownian(rgen.Sphere(2), rgen.LogUniformSchedule(1e-3, 5.0))
    score = rgen.nn.ScoreField(process, key=jr.key(0))
    optim = optax.adam(1e-3)

    def one(score, x0, t, key):
        weight = rgen.losses.variance_weight
        loss = rgen.losses.denoising
        if old:
            return weight(process, t) * loss(score, process, x0, t, key)
        return loss(score, process, x0, t, key, weight=weight)

    def loss(score, x0, key):
        t = process.stratified_times(key, len(x0))
        keys = jr.split(key, len(x0))
        return jnp.mean(jax.vmap(one, (None, 0, 0, 0))(score, x0, t, keys))

    @eqx.filter_jit
    def step(score, state, key):
        x0 = rgen.datasets.minibatch(key, data, 512)
        grads = eqx.filter_grad(loss)(score, x0, key)
        updates, state = optim.update(grads, state)
        return eqx.apply_updates(score, updates), state

    state = optim.init(eqx.filter(score, eqx.is_array))
    step_s = elapsed(step, score, state, jr.key(1))
    model = () if old else (rgen.ScoreModel(score, process),)
    args = (score, process) if old else model
    sample = lambda: rgen.sample(*args, jr.key(2), 1024)
    first_sample_s = elapsed(sample) - elapsed(sample)
    x = data[:256]
    log_prob = lambda: rgen.log_prob(*args, x)
    first_density_s = elapsed(log_prob) - elapsed(log_prob)
    rotations = rgen.SpecialOrthogonal(3)
    kernel = jax.jit(rgen.heat_kernel(rotations).sample)
    rotation_s = elapsed(kernel, rotations.origin, jnp.array(0.1), jr.key(3))
    print(
        json.dumps(
            {
                "import of Diffrax alone": diffrax_s,
                "import": import_s,
                "first training step": step_s,
                "first sample": first_sample_s,
                "first density": first_density_s,
                "first heat kernel sample on SO(3)": rotation_s,
            }
        )
    )


def cached():
    """What a process measures that finds all it compiles in a cache."""
    from benchmarks._versions import ROOT, measure

    with tempfile.TemporaryDirectory() as folder:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        measure(__file__, str(ROOT), **cache)
        return measure(__file__, str(ROOT), **cache)


def main():
    from benchmarks._versions import compare

    found = compare(__file__, 3) | {"cached": cached()}
    for kind in found["after"]:
        line = {"benchmark": "cold_start", "kind": kind}
        line |= {f"{when}_s": round(values[kind], 2) for when, values in found.items()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    once() if sys.argv[1:2] == ["--once"] else main()
