"""Checkpoints: what comes back, what is refused, and what survives a crash."""

import dataclasses
import errno
import functools
import os
import pathlib
import random
import resource
import signal
import stat
import subprocess
import sys
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import rgen


S2 = rgen.Sphere(2)


def score_field(v_min=1e-3, manifold=S2, **size):
    process = rgen.Brownian(manifold, rgen.LogUniformSchedule(v_min))
    size = dict(width=8, depth=2, frequencies=4) | size
    return rgen.nn.ScoreField(process, **size, key=jr.key(0))


def training_state(key=0):
    score = score_field()
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    state = optim.init(eqx.filter(score, eqx.is_inexact_array))
    half = jnp.arange(3, dtype=jnp.bfloat16)
    extra = {"half": half, "host": np.asarray(half), "rows": np.arange(4)}
    keys = jr.split(jr.key(key), 2), jr.key(key, impl="rbg")
    unordered = frozenset(["a", "b", "c", "d"])
    return score, state, keys, jnp.array(150), extra, rgen.ScoreModel, unordered


def same_bits(a, b):
    a, b = (jax.tree.leaves(each) for each in (a, b))
    data = lambda x: (
        jr.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    )
    pairs = [(data(x), data(y)) for x, y in zip(a, b, strict=True) if eqx.is_array(x)]
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def test_a_training_state_comes_back_to_the_bit(tmp_path):
    path = tmp_path / "run.rgen"
    saved = training_state(key=7)
    rgen.save(path, saved, metadata={"step": 150, "sizes": [8, 2]})
    like = training_state()
    assert not same_bits(like, saved)
    loaded = rgen.load(path, like)
    assert same_bits(loaded, saved)
    assert jax.tree.structure(loaded) == jax.tree.structure(saved)
    assert isinstance(loaded[4]["rows"], np.ndarray)
    # Of the generator that it was made by.
    assert jr.key_impl(loaded[2][1]) == "rbg"
    assert jr.bits(loaded[2][1]) == jr.bits(saved[2][1])
    assert rgen.load_metadata(path) == {"step": 150, "sizes": [8, 2]}


def test_a_checkpoint_is_as_readable_as_other_files(tmp_path):
    (tmp_path / "other").touch()
    rgen.save(tmp_path / "run", jnp.ones(2))
    modes = [(tmp_path / name).stat().st_mode for name in ("other", "run")]
    assert modes[0] == modes[1]


def test_a_structure_without_arrays_will_do(tmp_path):
    path = str(tmp_path / "score.rgen")
    saved = jax.tree.map(
        lambda x: x + 1 if eqx.is_inexact_array(x) else x, score_field()
    )
    rgen.save(path, saved)
    like = eqx.filter_eval_shape(score_field)
    assert same_bits(rgen.load(path, like), saved)
    keys = jr.split(jr.key(3), 2)
    rgen.save(path, keys)
    assert same_bits(rgen.load(path, jax.eval_shape(lambda: keys)), keys)


class Condition(eqx.Module):
    classes: tuple[str, ...] = eqx.field(static=True)
    activation: object


OTHERS = {
    "v_min": (
        lambda: score_field(1e-4),
        r"\.v_min.* is 0\.0001, and in the file 0\.001",
    ),
    "width": (lambda: score_field(width=9), r"weight` is float32\[9, .*\[8, "),
    "depth": (
        lambda: score_field(depth=3),
        r"hidden\[1\].* is .*Linear, and in the file nothing",
    ),
    "manifold": (
        lambda: score_field(manifold=rgen.Torus(3)),
        r"\.manifold.* is rgen\._manifold\._torus\.Torus, and in the file .*Sphere",
    ),
    "parametrisation": (
        lambda: score_field(parametrisation=rgen.nn.KillingFrame()),
        r"KillingFrame, and in the file .*Projected",
    ),
    "dtype": (
        lambda: jax.tree.map(
            lambda x: x.astype(jnp.float16) if eqx.is_array(x) else x, score_field()
        ),
        r"float16\[.*float32\[",
    ),
    "a tuple": (lambda: (score_field(),), "tuple"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_tree_is_refused(name, tmp_path):
    path = tmp_path / "score.rgen"
    rgen.save(path, score_field())
    make, message = OTHERS[name]
    with pytest.raises(ValueError, match=message) as error:
        rgen.load(path, make())
    assert "another tree" in str(error.value) and str(path) in str(error.value)
    # The remedy: the arguments that the file was made with.
    rgen.load(path, score_field())


def test_what_is_not_an_array_counts_by_its_value(tmp_path):
    path = tmp_path / "tree.rgen"
    table = np.array([1.0, 2.0])
    bound = functools.partial(np.add, table)
    tree = {"c": Condition(("a", "b"), jax.nn.silu), "n": 3, "f": bound}
    rgen.save(path, tree)
    rgen.load(path, tree)
    others = {
        r"classes\[0\]` is 'b', and in the file 'a'": tree
        | {"c": Condition(("b", "a"), max)},
        "activation.*relu.*silu": tree | {"c": Condition(("a", "b"), jax.nn.relu)},
        r"\['n'\]` is 4, and in the file 3": tree | {"n": 4},
        r"partial.*float64\[2\]": tree | {"f": functools.partial(np.add, table + 1)},
        r"\['more'\]` is 1, and in the file nothing": tree | {"more": 1},
    }
    for message, other in others.items():
        with pytest.raises(ValueError, match=message):
            rgen.load(path, other)


def test_a_module_whose_arrays_are_no_leaves_counts_by_its_value(tmp_path):
    path = tmp_path / "tree.rgen"
    inside = lambda field: functools.partial(max, field)
    rgen.save(path, inside(score_field()))
    rgen.load(path, inside(score_field()))
    other = jax.tree.map(lambda x: x + 1 if eqx.is_array(x) else x, score_field())
    for field in (score_field(1e-4), other):
        with pytest.raises(ValueError, match="another tree"):
            rgen.load(path, inside(field))


class Pair(eqx.Module):
    first: jax.Array
    second: jax.Array


class Swapped(eqx.Module):
    """The same class after an edit."""

    __qualname__ = "Pair"
    second: jax.Array
    first: jax.Array


def test_arrays_that_changed_places_are_refused(tmp_path):
    path = tmp_path / "tree.rgen"
    rgen.save(path, Pair(jnp.zeros(2), jnp.ones(2)))
    message = "in another order: `like.second` stands where the file has `like.first`"
    with pytest.raises(ValueError, match=message):
        rgen.load(path, Swapped(jnp.zeros(2), jnp.zeros(2)))
    # The remedy: the code that the file was made with.
    assert rgen.load(path, Pair(jnp.zeros(2), jnp.zeros(2))).second[0] == 1


def test_of_many_differences_the_first_are_named(tmp_path):
    rgen.save(tmp_path / "tree", list(range(20)))
    with pytest.raises(ValueError, match="and 15 more"):
        rgen.load(tmp_path / "tree", list(range(1, 21)))


@pytest.mark.slow
def test_a_description_is_the_same_in_another_process(tmp_path):
    """Nothing in it is an address, or in the order of a hash."""
    path = tmp_path / "run.rgen"
    rgen.save(path, training_state(key=5))
    tests = pathlib.Path(__file__).parent
    code = (
        "import sys, test_checkpoint as t, rgen; "
        "rgen.load(sys.argv[1], t.training_state())"
    )
    environment = os.environ | {"PYTHONPATH": f"{tests}:{tests.parent}"}
    command = [sys.executable, "-c", code, str(path)]
    subprocess.run(command, env=environment | {"PYTHONHASHSEED": "1"}, check=True)


# Files that are damaged


def test_no_cut_is_taken_for_a_checkpoint(tmp_path):
    path, cut = tmp_path / "score.rgen", tmp_path / "cut.rgen"
    rgen.save(path, score_field())
    whole = path.read_bytes()
    for size in [*range(0, len(whole), len(whole) // 40), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"damaged.*Take an earlier checkpoint"):
            rgen.load(cut, score_field())


def test_a_byte_that_is_changed_is_noticed(tmp_path):
    path, other = tmp_path / "score.rgen", tmp_path / "other.rgen"
    saved = score_field()
    rgen.save(path, saved)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        places = [
            range(info.header_offset + 100, info.header_offset + info.file_size)
            for info in archive.infolist()
        ]
    for place in (k for places in places for k in places[:: len(places) // 20]):
        changed = bytearray(whole)
        changed[place] ^= 1
        other.write_bytes(changed)
        with pytest.raises(ValueError, match="damaged"):
            rgen.load(other, score_field())


def test_no_changed_bit_is_a_wrong_array(tmp_path):
    path, other = tmp_path / "a.rgen", tmp_path / "b.rgen"
    saved = jnp.arange(2.0)
    rgen.save(path, saved)
    whole = path.read_bytes()
    accepted = 0
    for bit in range(0, 8 * len(whole), 3):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        other.write_bytes(changed)
        try:
            loaded = rgen.load(other, saved)
        except ValueError as error:
            assert str(other) in str(error)
        else:
            # Zip files have bits that nobody reads, such as dates.
            assert same_bits(loaded, saved)
            accepted += 1
    assert accepted < 3 * len(whole)


def test_something_else_is_no_checkpoint(tmp_path):
    path = tmp_path / "else"
    for content in (b"", b"text", b"PK"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged or something else"):
            rgen.load(path, score_field())
    np.savez(tmp_path / "else.npz", a=np.ones(2))
    with pytest.raises(ValueError, match="no header"):
        rgen.load(tmp_path / "else.npz", score_field())
    with pytest.raises(FileNotFoundError):
        rgen.load(tmp_path / "nothing", score_field())


def test_a_checkpoint_of_another_version(tmp_path, monkeypatch):
    path = tmp_path / "score.rgen"
    monkeypatch.setattr(rgen._checkpoint, "__version__", "0.9.0")
    rgen.save(path, score_field(), metadata=1)
    # Bug fixes change no field.
    monkeypatch.setattr(rgen._checkpoint, "__version__", "0.9.7")
    rgen.load(path, score_field())
    monkeypatch.setattr(rgen._checkpoint, "__version__", "0.10.0")
    message = r"of rgen 0\.9\.0, and this is 0\.10\.0.*Load it with that version"
    with pytest.raises(ValueError, match=message):
        rgen.load(path, score_field())
    assert rgen.load_metadata(path) == 1
    monkeypatch.setattr(rgen._checkpoint, "_FORMAT", "rgen checkpoint 2")
    with pytest.raises(ValueError, match="has the format 'rgen checkpoint 1'"):
        rgen.load(path, score_field())


# What cannot be saved


@dataclasses.dataclass
class Disk:
    """A disk on which files have at most `size` bytes."""

    size: int

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *args):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@pytest.mark.parametrize("size", [0, 100, 4000])
def test_a_full_disk_leaves_the_file_that_was_there(size, tmp_path):
    path = tmp_path / "run.rgen"
    old = score_field()
    rgen.save(path, old)
    before = path.read_bytes()
    assert len(before) > 4000
    new = jax.tree.map(lambda x: x + 1 if eqx.is_inexact_array(x) else x, old)
    with Disk(size), pytest.raises(OSError, match=r"cannot write.*run\.rgen"):
        rgen.save(path, new)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.rgen"]


def test_a_folder_that_cannot_be_brought_to_the_disk(tmp_path, monkeypatch):
    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    rgen.save(tmp_path / "run.rgen", jnp.ones(2))
    assert same_bits(rgen.load(tmp_path / "run.rgen", jnp.zeros(2)), jnp.ones(2))


def test_a_folder_that_is_not_there(tmp_path):
    for folder in (tmp_path / "no", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match=r"cannot write.*run\.rgen"):
            rgen.save(folder / "run.rgen", jnp.ones(2))
    assert os.listdir(tmp_path) == ["file"]


def test_what_no_file_can_hold(tmp_path):
    path = tmp_path / "run.rgen"
    with pytest.raises(ValueError, match="`metadata` to be what JSON can hold"):
        rgen.save(path, jnp.ones(2), metadata={"a": jnp.ones(2)})
    with pytest.raises(ValueError, match=r"got float8_e4m3fn.*astype\(jnp.bfloat16\)"):
        rgen.save(path, jnp.ones(2, jnp.float8_e4m3fn))
    # NumPy would pickle it.
    with pytest.raises(ValueError, match="got object"):
        rgen.save(path, np.array([{}, None]))
    assert os.listdir(tmp_path) == []
    rgen.save(path, jnp.ones(2, jnp.float8_e4m3fn).astype(jnp.bfloat16))


# A run that is killed


def run(path, steps, kill_at=None):
    """Runs the training to its end, or kills it once it says that it has done a
    step."""
    script = pathlib.Path(__file__).parent / "training_run.py"
    cache = path.parent / "cache"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(script.parent.parent),
    }
    command = [sys.executable, str(script), str(path), str(steps)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if kill_at is not None and int(line) >= kill_at:
                process.send_signal(signal.SIGKILL)
                break
    return process.returncode


def killed_run(path, steps, kills, seed):
    """Kills a run at random steps, and lets it go on each time."""
    # So early that the run has not ended when it is killed.
    steps_at = random.Random(seed).choices(range(1, steps - 10), k=kills)
    for step in sorted(steps_at):
        assert run(path, steps, kill_at=step) == -signal.SIGKILL
    assert run(path, steps) == 0


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, marks=pytest.mark.slow),
        pytest.param(20, marks=pytest.mark.thorough),
    ],
)
def test_a_run_that_is_killed_ends_where_it_would_have_ended(kills, tmp_path):
    import training_run

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = (tmp_path / name / "run.rgen" for name in ("whole", "killed"))
    assert run(whole, 40) == 0
    killed_run(killed, 40, kills, seed=0)
    like = training_run.start()
    ends = [rgen.load(path, like) for path in (whole, killed)]
    assert same_bits(*ends)
    assert int(ends[0][-1]) == 40 and not same_bits(ends[0], like)
