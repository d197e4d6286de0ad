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
            if not set(case) <= set(line) or self._name(line) in self.done:
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
        self.done.add(self._name(line))
        text = json.dumps(line)
        print(text, flush=True)
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _name(self, line: dict) -> tuple:
        return tuple(line[field] for field in self.case)


def read(path: pathlib.Path) -> list[dict]:
    """The objects of a file of JSON lines; none where there is no file."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    lines = text.splitlines()
    objects = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        cut_off = number == len(lines) and not text.endswith("\n")
        if cut_off or not isinstance(value, dict):
            raise ValueError(
                f"{path}, line {number}: expected an object of JSON and an end of "
                f"line, got {line[:80]!r}. Take the line out, and its case is run "
                "again; nothing has been overwritten."
            )
        objects.append(value)
    return objects
