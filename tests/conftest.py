import gc
import importlib.metadata
import os
import pathlib

import hypothesis
import jax
import jax.numpy as jnp
import pytest
from jaxtyping import install_import_hook


# Two batched calls of LAPACK that run at the same time wait for each other for ever
# where JAX 0.10 has only two threads: see the sharp bits.
os.environ.setdefault("PJRT_NPROC", "8")
# Nearly all of the time goes to compiling, of functions that run once: they need not be
# optimised. `optimised` below is for those where that goes wrong.
jax.config.update("jax_disable_most_optimizations", True)
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # Of two ways to emit code, this is the one that compiles faster. Later versions do
    # not know the flag, and end the process.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

# Users have the public functions checked. Tests check every annotation that there is.
with install_import_hook("rgen", "checker.check"):
    import rgen  # noqa: F401


# Tracing makes many objects that live long. To look for cycles of them at Python's pace
# takes a tenth of the time.
gc.freeze()
gc.set_threshold(100_000, 50, 100)

MAPS = pathlib.Path("/proc/self/maps")

# The same examples in every run, and few: each one is a whole batch of points.
hypothesis.settings.register_profile(
    "rgen",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=5,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile(
    "thorough",
    parent=hypothesis.settings.get_profile("rgen"),
    derandomize=False,
    max_examples=1000,
)
hypothesis.settings.load_profile("rgen")


def pytest_configure(config):
    """Keeps what is compiled for the other worker, and for the next run."""
    folder = config.rootpath / ".pytest_cache" / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(autouse=True)
def few_compiled_functions():
    """Forgets compiled functions when there are too many. Each takes memory maps, of
    which a process has some 65,000; when they run out, the compiler crashes."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > 25_000:
        jax.clear_caches()


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs the test once in each precision, as the default of all that it creates."""
    with jax.enable_x64(request.param == "float64"):
        yield jnp.dtype(request.param)


@pytest.fixture
def optimised():
    """Compiles as users do."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def eps(dtype):
    return float(jnp.finfo(dtype).eps)
