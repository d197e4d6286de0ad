"""Runs the notebooks and writes them with their outputs.

    python scripts/notebooks.py           # all of them
    python scripts/notebooks.py 03 07     # those whose names begin so
    python scripts/notebooks.py --check   # in CI: runs all, and writes none
    python scripts/notebooks.py --jobs 2  # two at a time

The source of a notebook is `notebooks/NN_name.py`, in Jupytext's percent format; the
`.ipynb` beside it holds the outputs of a full run. `--check` fails where the cells of
the two differ, or where one has no outputs. Prints a line of JSON for each, with the
seconds that it took, or that it was not run since its data could not be downloaded.
"""

import argparse
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode


FOLDER = pathlib.Path(__file__).parents[1] / "notebooks"
MOST_SECONDS, MOST_BYTES = 180, 1_500_000
# A progress bar is for who watches it.
TRANSIENT = "application/vnd.jupyter.widget-view+json"


def read(source: pathlib.Path) -> NotebookNode:
    """The notebook of a source, without outputs. Its cells are numbered, so that
    another run changes the outputs alone."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02}"
        cell["metadata"] = {}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def run(source: pathlib.Path) -> tuple[NotebookNode, float]:
    """The notebook with the outputs of a run, and the seconds that it took. Raises a
    `ConnectionError` where its data could not be downloaded."""
    notebook = read(source)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(FOLDER)}})
    start = time.perf_counter()
    try:
        client.execute()
    except CellExecutionError as error:
        if "could not download" in error.evalue:
            raise ConnectionError(error.evalue) from error
        raise
    seconds = time.perf_counter() - start
    for cell in notebook.cells:
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell["outputs"] = joined(filter(kept, cell["outputs"]))
    notebook["metadata"].pop("widgets", None)
    return notebook, seconds


def kept(output: NotebookNode) -> bool:
    return output.get("name") != "stderr" and TRANSIENT not in output.get("data", {})


def joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """The outputs, with prints that follow each other as one: a progress bar came
    between them."""
    found: list[NotebookNode] = []
    for output in outputs:
        if found and output["output_type"] == found[-1]["output_type"] == "stream":
            found[-1]["text"] += output["text"]
        else:
            found.append(output)
    return found


def differences(source: pathlib.Path) -> list[str]:
    """What is wrong with the notebook beside a source."""
    target = source.with_suffix(".ipynb")
    if not target.exists():
        return [f"{target.name} is missing"]
    found, expected = nbformat.read(target, as_version=4), read(source)
    cells = [[(cell["cell_type"], cell["source"]) for cell in n.cells]
             for n in (found, expected)]  # fmt: skip
    wrong = []
    if cells[0] != cells[1]:
        wrong.append(f"{target.name} does not have the cells of {source.name}")
    code = [cell for cell in found.cells if cell["cell_type"] == "code"]
    if [cell["execution_count"] for cell in code] != list(range(1, len(code) + 1)):
        wrong.append(f"{target.name} is not the outcome of one run from top to bottom")
    if target.stat().st_size > MOST_BYTES:
        wrong.append(f"{target.name} is larger than {MOST_BYTES} bytes")
    return wrong


def report(source: pathlib.Path, found: Future, write: bool) -> None:
    try:
        notebook, seconds = found.result()
    except ConnectionError as error:
        if write:
            raise
        line = {"notebook": source.stem, "not run": str(error)}
        print(json.dumps(line), flush=True)
        return
    line = {"notebook": source.stem, "seconds": round(seconds, 1)}
    print(json.dumps(line), flush=True)
    if write:
        nbformat.write(notebook, source.with_suffix(".ipynb"))
    if seconds > MOST_SECONDS:
        # Another machine may be slower: no fault.
        print(f"{source.stem} took over {MOST_SECONDS} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="how the names begin; all by default")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--jobs", type=int, default=1, help="how many run at a time")
    arguments = parser.parse_args()
    beginnings = tuple(arguments.names) or ("",)
    sources = [p for p in sorted(FOLDER.glob("[0-9]*.py"))
               if p.name.startswith(beginnings)]  # fmt: skip
    # What one notebook has compiled the others find.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(FOLDER / ".compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    wrong = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for source, found in [(s, pool.submit(run, s)) for s in sources]:
            report(source, found, write=not arguments.check)
            wrong += differences(source)
    if wrong:
        remedy = "Run `python scripts/notebooks.py` and commit what it writes."
        sys.exit("\n".join([*wrong, remedy]))


if __name__ == "__main__":
    main()
