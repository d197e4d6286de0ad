import json

import pytest

from benchmarks._results import Results, read


def results(path):
    return Results(str(path), ("method", "seed"))


def test_a_run_goes_on_where_it_was_interrupted(tmp_path, capsys):
    path = tmp_path / "folder" / "lines.jsonl"
    first = results(path)
    assert first.missing(method="a", seed=0)
    first.write(method="a", seed=0, nll=1.5)
    assert not first.missing(method="a", seed=0)
    second = results(path)
    assert not second.missing(method="a", seed=0)
    assert second.missing(method="a", seed=1)
    second.write(method="a", seed=1, nll=2.5)
    lines = [{"method": "a", "seed": s, "nll": s + 1.5} for s in (0, 1)]
    assert read(path) == lines
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines


def test_without_a_file_lines_are_printed(capsys):
    nowhere = Results(None, ("method",))
    assert nowhere.missing(method="a")
    nowhere.write(method="a")
    assert json.loads(capsys.readouterr().out) == {"method": "a"}


@pytest.mark.parametrize(
    "damage",
    [
        '{"method": "a", "se\n',
        "[1]\n",
        "\n",
        '{"method": "b", "seed": 1}',
        '{"seed": 1}\n',
        '{"method": "a", "seed": 0}\n',
    ],
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, damage):
    path = tmp_path / "lines.jsonl"
    before = '{"method": "a", "seed": 0}\n' + damage
    path.write_text(before)
    with pytest.raises(ValueError, match=r"lines\.jsonl, line 2: expected"):
        results(path)
    assert path.read_text() == before
