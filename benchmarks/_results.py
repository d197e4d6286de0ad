"""Lines of JSON that a run writes, and goes on from when it is started again."""

import json
import os
import pathlib
from collections.abc import Iterable, Iterator

import jax


def machine() -> dict[str, object]:
    """What a time was measured on."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count()
    return {"backend": jax.default_backend(), "cores": cores}


class Results:
    """The lines of a file, one object each. With no file, what is written goes to the
    standard output alone.

    A line belongs to a case, the fields that name it: a case that is in the file is
    done. `lines` are those that the file had. Raises a `ValueError` that names the file
    and the line where one is damaged; nothing is overwritten then.
    """

    def __init__(self, path: str | None, case: tuple[str, ...]):
        self.path = None if path is None else pathlib.Path(path)
        self.case = case
        self.lines = [] if self.path is None else read(self.path)
        self.done = set()
        for number, line in enumerate(self.lines, 1):
            if not self._is_one(line) or self._name(line) in self.done:
                raise ValueError(
                    f"{path}, line {number}: expected a line with the fields {case}, "
                    f"and one line for each case, got {line}. Is it the file of "
                    "another benchmark? Nothing has been overwritten."
                )
            self.done.add(self._name(line))

    def missing(self, **case: object) -> bool:
        return self._name(case) not in self.done

    def todo(self, cases: Iterable[tuple]) -> Iterator[dict]:
        """Those of the cases that are missing, by field."""
        for values in cases:
            line = dict(zip(self.case, values, strict=True))
            if self.missing(**line):
                yield line

    def write(self, **line: object) -> None:
        """Appends a line, of a case that is missing and of numbers that are finite."""
        text = json.dumps(line, allow_nan=False)
        if not self.missing(**line):
            raise ValueError(f"{self.path}: expected a missing case, got {line}.")
        self.done.add(self._name(line))
        print(text, flush=True)
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _is_one(self, line: dict) -> bool:
        """Whether it has the fields that name a case, with a value each."""
        return not any(isinstance(line.get(f, []), (list, dict)) for f in self.case)

    def _name(self, line: dict) -> tuple:
        return tuple(line[field] for field in self.case)


def read(path: pathlib.Path) -> list[dict]:
    """The objects of a file of JSON lines; none where there is no file."""
    if not path.exists():
        return []
    text = path.read_bytes()
    lines = text.splitlines()
    objects = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line, parse_constant=_no_number)
        except ValueError:
            value = None
        cut_off = number == len(lines) and not text.endswith(b"\n")
        if cut_off or not isinstance(value, dict):
            raise ValueError(
                f"{path}, line {number}: expected an object of JSON and an end of "
                f"line, got {line[:80]!r}. Take the line out, and its case is run "
                "again; nothing has been overwritten."
            )
        objects.append(value)
    return objects


def _no_number(constant: str):
    raise ValueError(f"expected JSON, got {constant}")
