"""One key, one answer: to the bit on one machine, and to a rounding on another."""

import json
import os
import pathlib
import platform
import subprocess
import sys

import numpy as np
import pytest


SCRIPT = pathlib.Path(__file__).parent / "same_answer.py"
STORED = SCRIPT.with_suffix(".jsonl")


def answers(how, flags=""):
    """By case, of a process of its own, with the optimisations that users have."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(SCRIPT.parent.parent),
        "XLA_FLAGS": flags,
    }
    run = [sys.executable, str(SCRIPT), how]
    result = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return by_case(result.stdout)


def by_case(text):
    lines = map(json.loads, text.splitlines())
    return {line["case"]: line for line in lines}


@pytest.mark.slow
def test_the_same_bits_whole_in_chunks_and_over_eight_devices():
    whole = answers("128")
    assert len(whole) == 7
    eight = "--xla_force_host_platform_device_count=8"
    assert answers("37") == whole
    assert answers("sharded", eight) == whole


# Of processors with shorter vectors, and without a fused multiplication and addition.
@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", ["", "--xla_cpu_max_isa=SSE4_2"], ids=["here", "another processor"]
)
def test_the_stored_answer(flags):
    if flags and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the flag is of x86 processors")
    stored, found = by_case(STORED.read_text("utf-8")), answers("128", flags)
    assert found.keys() == stored.keys()
    for case, line in found.items():
        if line["digest"] == stored[case]["digest"]:
            continue
        # Roundings may change the number of steps that a solver takes, whose tolerance
        # is 1e-5 for each of about ten: other points differ by one.
        for part in ("first", "mean"):
            np.testing.assert_allclose(line[part], stored[case][part], atol=5e-4)
