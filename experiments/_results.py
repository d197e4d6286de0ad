"""Lines of JSON that a run writes, and goes on from when it is started again."""

import json
import math
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
    """The lines of a file, to which a run adds. With no file, what is written goes to
    the standard output alone.

    A line belongs to a case, by the fields that it begins with: a case that is in the
    file is done. The file is read anew whenever that is asked, so that two runs may
    share one. Raises a `ValueError` that names the file and the line where one is
    damaged, and an `OSError` where it cannot be written to, before anything is run;
    nothing is overwritten.
    """

    def __init__(self, path: str | None, case: tuple[str, ...]):
        self.path = None if path is None else pathlib.Path(path)
        self.case = case
        self.printed: set[tuple] = set()
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("ab").close()
            cases(self.path, case)

    def missing(self, **case: object) -> bool:
        done = self.printed if self.path is None else cases(self.path, self.case).keys()
        return tuple(case[field] for field in self.case) not in done

    def todo(self, values: Iterable[tuple]) -> Iterator[dict]:
        """Those of the cases that are missing when their turn comes, by field."""
        for each in values:
            line = dict(zip(self.case, each, strict=True))
            if self.missing(**line):
                yield line

    def write(self, **line: object) -> None:
        """Appends a line, of a case that is missing and of numbers that are finite."""
        if not_finite := [k for k, v in line.items() if not _finite(v)]:
            raise ValueError(
                f"{self.path}: expected finite numbers, got {not_finite} in {line}. "
                "The line has not been written."
            )
        if not self.missing(**line):
            raise ValueError(
                f"{self.path}: expected a missing case, got {line}. Has another run "
                "written it? The line has not been written."
            )
        text = json.dumps(line, allow_nan=False) + "\n"
        if self.path is None:
            self.printed.add(tuple(line[field] for field in self.case))
        else:
            _append(self.path, text.encode())
        print(text, end="", flush=True)


def read(path: pathlib.Path) -> list[dict]:
    """The objects of a file of JSON lines."""
    text = path.read_bytes()
    lines = text.splitlines()
    objects = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line, parse_constant=_no_number)
        except ValueError:
            value = None
        cut_off = number == len(lines) and not text.endswith(b"\n")
        if cut_off or not isinstance(value, dict) or not _finite(value):
            raise ValueError(
                f"{path}, line {number}: expected an object of JSON with finite "
                f"numbers and an end of line, got {line[:80]!r}. Take the line out, "
                "and its case is run again; nothing has been overwritten."
            )
        objects.append(value)
    return objects


def cases(path: pathlib.Path, case: tuple[str, ...]) -> dict[tuple, dict]:
    """The lines of a file, by the fields `case` that each of them begins with."""
    found = {}
    for number, line in enumerate(read(path), 1):
        name = tuple(line.get(field) for field in case)
        named = tuple(line)[: len(case)] == case
        if not named or any(isinstance(value, (list, dict)) for value in name):
            raise ValueError(
                f"{path}, line {number}: expected a line that begins with the fields "
                f"{case}, got {line}. Is it the file of another benchmark? Nothing has "
                "been overwritten."
            )
        if name in found:
            raise ValueError(
                f"{path}, line {number}: expected one line for each case, got a second "
                f"one for {name}. Take one of them out; nothing has been overwritten."
            )
        found[name] = line
    return found


def _append(path: pathlib.Path, data: bytes) -> None:
    """All of the data, or none of it where the disk is full."""
    with path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def _finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _no_number(constant: str):
    raise ValueError(f"expected JSON, got {constant}")
