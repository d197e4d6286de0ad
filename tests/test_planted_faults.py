"""The table of planted faults: each can be planted, and has tests that exist."""

import ast
import importlib.util
import json
import pathlib
import sys

import pytest


ROOT = pathlib.Path(__file__).parent.parent


def _script():
    path = ROOT / "scripts" / "planted_faults.py"
    spec = importlib.util.spec_from_file_location("planted_faults", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()
every_fault = pytest.mark.parametrize("fault", SCRIPT.FAULTS, ids=lambda f: f.name)


def test_there_are_thirty_faults_or_more_with_names_of_their_own():
    names = [fault.name for fault in SCRIPT.FAULTS]
    assert len(names) == len(set(names)) >= 30


def test_every_fault_was_planted():
    path = ROOT / "benchmarks" / "results" / "planted_faults.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["fault"] for line in lines] == [fault.name for fault in SCRIPT.FAULTS]
    assert all(line["caught"] for line in lines)


@every_fault
def test_a_fault_can_be_planted(fault):
    text = (ROOT / fault.file).read_text("utf-8")
    assert fault.file.startswith("rgen/") and text.count(fault.old) == 1
    # Another program, and not another comment.
    right, wrong = map(ast.parse, (text, text.replace(fault.old, fault.new)))
    assert ast.dump(right) != ast.dump(wrong)


@every_fault
def test_the_tests_of_a_fault_exist(fault):
    assert 1 <= len(fault.tests) <= 3
    for test in fault.tests:
        file, name = test.split("[")[0].split("::", 1)
        assert name in set(_tests(ROOT / file)), test


def _tests(file):
    """The names of the tests of a file, those of a class behind its name."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            methods = (n for n in node.body if isinstance(n, ast.FunctionDef))
            yield from (f"{node.name}::{method.name}" for method in methods)


def test_the_faults_of_a_day():
    today = SCRIPT.chosen([], 3)
    assert len(set(today)) == 3 and today == SCRIPT.chosen([], 3)
    first = SCRIPT.FAULTS[0]
    assert SCRIPT.chosen([first.name], None) == [first]
    with pytest.raises(SystemExit, match=r"expected names of faults, got \['no'\]"):
        SCRIPT.chosen(["no"], None)


def _run(monkeypatch, capsys, *arguments):
    """The lines that the script prints."""
    monkeypatch.setattr(sys, "argv", ["planted_faults.py", *map(str, arguments)])
    SCRIPT.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


NAME = "ornstein-uhlenbeck-mean"


@pytest.mark.slow
def test_a_fault_is_noticed_once(monkeypatch, capsys, tmp_path):
    output = tmp_path / "lines.jsonl"
    arguments = "--sound", "--output", output, NAME
    (line,) = _run(monkeypatch, capsys, *arguments)
    assert (line["fault"], line["caught"]) == (NAME, True)
    assert line["by"] == "tests/test_process.py::test_ornstein_uhlenbeck_score"
    assert json.loads(output.read_text("utf-8")) == line
    # What has a line is not planted again.
    assert _run(monkeypatch, capsys, *arguments) == []


@pytest.mark.slow
def test_a_fault_that_no_test_notices(monkeypatch, capsys, tmp_path):
    (fault,) = SCRIPT.chosen([NAME], None)
    harmless = fault._replace(old='r"""The transition', new='r"""A transition')
    monkeypatch.setattr(SCRIPT, "FAULTS", [harmless])
    output = tmp_path / "lines.jsonl"
    with pytest.raises(SystemExit, match=f"noticed by no test: {NAME}") as found:
        _run(monkeypatch, capsys, "--output", output)
    # A message is the status 1.
    assert isinstance(found.value.code, str)
    line = json.loads(output.read_text("utf-8"))
    assert (line["caught"], line["by"]) == (False, None)
    # Nor is it forgotten in another run.
    with pytest.raises(SystemExit, match="noticed by no test"):
        _run(monkeypatch, capsys, "--output", output)
