"""The documentation: complete, whole, of code that runs, and of nothing from afar."""

import ast
import functools
import html.parser
import importlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import types

import nbformat
import pytest
from helpers import slow
from nbclient.exceptions import CellExecutionError

from benchmarks import reliability, report


ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
MODULES = [
    "rgen",
    "rgen.nn",
    "rgen.losses",
    "rgen.datasets",
    "rgen.metrics",
    "rgen.symmetry",
    "rgen.plot",
    "rgen.testing",
]
# What a page may be told to load, by element: a link that a reader clicks is not.
LOADING = {
    "audio": ["src"],
    "embed": ["src"],
    "iframe": ["src"],
    "image": ["href", "xlink:href"],
    "img": ["src", "srcset"],
    "input": ["src"],
    "link": ["href"],
    "object": ["data"],
    "script": ["src"],
    "source": ["src", "srcset"],
    "track": ["src"],
    "use": ["href", "xlink:href"],
    "video": ["src", "poster"],
}


def _public() -> dict[str, object]:
    """What is public, by its full name."""
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name, value in vars(module).items():
            at_home = getattr(value, "__module__", "").startswith(module.__name__)
            if not name.startswith("_") and at_home:
                found[f"{module.__name__}.{name}"] = value
    return found


PUBLIC = _public()
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}


@functools.cache
def _described_fields(cls: type) -> set[str]:
    """The fields of a class that are followed by a string that says what they are."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    pairs = zip(tree.body, tree.body[1:], strict=False)
    return {
        field.target.id
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _described(cls: type, name: str) -> bool:
    """Whether a member has a docstring, in its class or in one above."""
    for base in cls.__mro__:
        if name in vars(base) and vars(base)[name].__doc__:
            return True
        if base.__module__.startswith("rgen") and name in _described_fields(base):
            return True
    return False


def _members(cls: type) -> list[str]:
    """The public methods and properties that a class defines."""
    kinds = types.FunctionType, property, functools.cached_property
    return [
        name
        for name, value in vars(cls).items()
        if name == "__call__"
        or (not name.startswith("_") and isinstance(inspect.unwrap(value), kinds))
    ]


class _Page(html.parser.HTMLParser):
    """What a page of the site loads, its anchors, and its mathematics."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.formulas: list[str] = []
        self._formula: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        values = dict(attrs)
        self.loads += [values[a] or "" for a in LOADING.get(tag, []) if a in values]
        self.anchors.add(values.get("id") or "")
        if "arithmatex" in (values.get("class") or ""):
            self._formula = ""

    def handle_data(self, data: str):
        if self._formula is not None:
            self._formula += data

    def handle_endtag(self, tag: str):
        if self._formula is not None:
            self.formulas.append(self._formula)
            self._formula = None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    # Material's note on what follows MkDocs is for people.
    build = subprocess.run(
        [*command, "--config-file", ROOT / "mkdocs.yml", "--site-dir", folder],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: pathlib.Path) -> dict[str, _Page]:
    files = site.rglob("*.html")
    return {str(f.relative_to(site)): _Page(f.read_text("utf-8")) for f in files}


def test_the_lists_of_names_are_not_empty():
    for module in MODULES:
        assert [name for name in PUBLIC if name.rpartition(".")[0] == module], module


def test_every_public_name_has_a_docstring():
    # Not inherited: `getdoc` would answer with that of a base class.
    assert [name for name, value in PUBLIC.items() if not value.__doc__] == []
    generated = [
        name
        for name, cls in CLASSES.items()
        if ast.get_docstring(ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0])
        is None
    ]
    assert generated == []


def test_every_public_method_has_a_docstring():
    silent = [
        f"{name}.{member}"
        for name, cls in CLASSES.items()
        for member in _members(cls)
        if not _described(cls, member)
    ]
    assert silent == []


def test_every_abstract_field_has_a_docstring():
    silent = [
        f"{name}.{field}"
        for name, cls in CLASSES.items()
        for field in getattr(cls, "__abstractvars__", ())
        if not _described(cls, field)
    ]
    assert silent == []


def test_every_public_name_is_on_an_api_page():
    text = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    written = re.findall(r"^::: (\S+)", text, re.MULTILINE)
    assert sorted(set(written)) == sorted(written), "a name is on two pages"
    assert sorted(set(PUBLIC) - set(written)) == []


def test_every_name_on_the_api_pages_is_public():
    text = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    written = set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    assert sorted(written - set(PUBLIC) - set(MODULES)) == []


def test_the_site_shows_every_documented_method(pages: dict[str, _Page]):
    anchors = set().union(*(page.anchors for page in pages.values()))
    missing = [
        f"{name}.{member}"
        for name, cls in CLASSES.items()
        for member in _members(cls)
        if vars(cls)[member].__doc__ and f"{name}.{member}" not in anchors
    ]
    assert missing == []


def test_the_site_loads_nothing_from_other_hosts(
    site: pathlib.Path, pages: dict[str, _Page]
):
    loads = [url for page in pages.values() for url in page.loads]
    assert any("katex" in url for url in loads)
    assert [url for url in loads if re.match(r"\s*(https?:)?//", url)] == []
    for style in site.rglob("*.css"):
        assert not re.search(
            r"@import|url\(\s*[\"']?\s*(https?:)?//", style.read_text("utf-8")
        ), style
    # Material fetches Mermaid for diagrams, and the stars of a repository.
    for file in site.rglob("*.html"):
        text = file.read_text("utf-8")
        assert 'class="mermaid"' not in text
        assert 'data-md-component="source"' not in text


def test_every_file_that_a_page_loads_is_in_the_site(
    site: pathlib.Path, pages: dict[str, _Page]
):
    for name, page in pages.items():
        for url in page.loads:
            path = url.partition("?")[0].partition("#")[0]
            if path.startswith("data:") or name == "404.html":
                continue
            assert (site / name).parent.joinpath(path).resolve().exists(), (name, url)


def test_the_fonts_of_the_mathematics_are_in_the_site(site: pathlib.Path):
    folder = site / "javascripts" / "katex"
    fonts = re.findall(r"url\(([^)]+)\)", (folder / "katex.min.css").read_text("utf-8"))
    assert len(fonts) > 0
    assert [font for font in fonts if not (folder / font).is_file()] == []


def test_there_is_mathematics_on_the_site(pages: dict[str, _Page]):
    formulas = [formula for page in pages.values() for formula in page.formulas]
    # A dollar sign that is left over is one that was not read as mathematics.
    assert len(formulas) > 100
    assert [formula for formula in formulas if "$" in formula] == []


@pytest.mark.skipif(shutil.which("node") is None, reason="takes Node.js")
def test_katex_can_read_all_mathematics(pages: dict[str, _Page]):
    formulas = [formula for page in pages.values() for formula in page.formulas]
    script = """
        const katex = require(process.argv[1]);
        const formulas = JSON.parse(require("fs").readFileSync(0));
        for (const formula of formulas) {
          try {
            katex.renderToString(formula.slice(2, -2), {
              displayMode: formula.startsWith("\\\\["), throwOnError: true,
            });
          } catch (error) { console.log(formula, error.message); }
        }
    """
    katex = DOCS / "javascripts" / "katex" / "katex.min.js"
    run = subprocess.run(
        ["node", "-e", script, katex],
        input=json.dumps([formula.strip() for formula in formulas]),
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def _code(page: pathlib.Path) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return "\n".join(blocks)


def test_the_readme_and_the_index_show_the_same_code():
    assert _code(ROOT / "README.md") == _code(DOCS / "index.md")


def test_the_numbers_of_the_readme_are_on_the_page_of_results():
    table = (ROOT / "README.md").read_text("utf-8").partition("## Results")[2]
    numbers = re.findall(r"-?\d+\.\d+ ± \d+\.\d+", table.partition("\n## ")[0])
    results = (DOCS / "results.md").read_text("utf-8")
    assert len(numbers) >= 6
    assert [number for number in numbers if number not in results] == []


@pytest.mark.parametrize("name", report.PAGES)
def test_the_page_is_that_of_the_benchmarks(name: str):
    written = (DOCS / f"{name}.md").read_text("utf-8")
    assert written == report.page(name), "run: python -m benchmarks.report"


def test_every_campaign_was_run():
    path = ROOT / "benchmarks" / "results" / "reliability.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["campaign"] for line in lines] == list(reliability.CAMPAIGNS)
    assert all(line["failures"] == 0 and line["cases"] > 0 for line in lines)


def test_every_word_of_a_campaign_chooses_a_test():
    for campaign in reliability.CAMPAIGNS.values():
        files, _, choice = " ".join(campaign.arguments).partition(" -k ")
        paths = [ROOT / file for file in files.split() if not file.startswith("--")]
        texts = [
            path.read_text("utf-8")
            for each in paths
            for path in ([each] if each.is_file() else each.glob("test_*.py"))
        ]
        names = re.findall(r"^def (test_\w+)", "\n".join(texts), re.M)
        for word in choice.removeprefix("not ").split(" or "):
            assert any(word in name for name in names), word


def test_the_versions_that_pyproject_allows_were_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    path = ROOT / "benchmarks" / "results" / "environments.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["failed"] for line in lines if line["failures"]] == []

    def of(versions):
        return {
            line["python"].rpartition(".")[0]: line
            for line in lines
            if line["versions"] == versions
        }

    prefix = "Programming Language :: Python :: "
    named = [each.removeprefix(prefix) for each in project["classifiers"]]
    pythons = {each for each in named if re.fullmatch(r"3\.\d+", each)}
    assert of("newest").keys() == pythons
    oldest = of("oldest")[project["requires-python"].removeprefix(">=")]
    bounds = [re.match(r"(\w+)>=([\d.]+)", each) for each in project["dependencies"]]
    for name, least in (bound.groups() for bound in bounds if bound):
        assert oldest.get(name, least).startswith(least)


# Notebooks, whose outputs are those of their last run


def _notebooks() -> types.ModuleType:
    path = ROOT / "scripts" / "notebooks.py"
    spec = importlib.util.spec_from_file_location("notebooks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
every_notebook = pytest.mark.parametrize(
    "source", NOTEBOOKS, ids=lambda path: path.stem
)


@every_notebook
def test_a_notebook_has_the_cells_of_its_source(source: pathlib.Path):
    assert _notebooks().differences(source) == []


@every_notebook
def test_a_notebook_says_what_to_install_and_what_to_change(source: pathlib.Path):
    cells = [cell["source"] for cell in _notebooks().read(source).cells]
    assert cells[0].endswith("`pip install '.[notebooks]'` in a clone.")
    assert "## What to change first\n" in cells[-1]


def test_prints_around_a_progress_bar_are_one_output(tmp_path: pathlib.Path):
    source = tmp_path / "01_a.py"
    lines = ["import sys, time", "for k in range(2):", "    print(k, flush=True)"]
    # The client would join them by itself where nothing comes between.
    lines += ["    print('bar', file=sys.stderr, flush=True)", "    time.sleep(0.1)"]
    source.write_text("# %%\n" + "\n".join(lines) + "\n")
    (output,) = _notebooks().run(source)[0].cells[0].outputs
    assert output.text == "0\n1\n"


def test_a_notebook_of_another_source_is_found(tmp_path: pathlib.Path):
    notebooks, source = _notebooks(), tmp_path / "01_a.py"
    source.write_text("# %% [markdown]\n# # A\n\n# %%\n1 + 1\n")
    assert notebooks.differences(source) == ["01_a.ipynb is missing"]
    notebook, _ = notebooks.run(source)
    nbformat.write(notebook, source.with_suffix(".ipynb"))
    assert notebooks.differences(source) == []
    assert notebook.cells[1].outputs[0].data["text/plain"] == "2"
    source.write_text("# %% [markdown]\n# # A\n\n# %%\n1 + 2\n")
    (wrong,) = notebooks.differences(source)
    assert "does not have the cells of 01_a.py" in wrong


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("FileNotFoundError('could not download volcano')", ConnectionError),
        ("ValueError('a mistake')", CellExecutionError),
    ],
)
def test_a_notebook_that_fails_is_no_success(error, expected, tmp_path: pathlib.Path):
    source = tmp_path / "01_a.py"
    source.write_text(f"# %%\nraise {error}\n")
    with pytest.raises(expected, match=error.split("'")[1]):
        _notebooks().run(source)


# As on the page, but for the time that it takes.
SHORTENED = {
    "index.md": [("2_000", "2"), ("4_096", "8")],
    "getting_started.md": [("4_000", "2"), ("1_000", "8"), ("pixels=120", "pixels=8")],
}
LONG_PAGES = [
    "sharp_bits.md",
    "how_it_works.md",
    "samplers.md",
    "evaluation.md",
    "scaling.md",
    "extending.md",
    "coming_from.md",
]


@pytest.mark.parametrize(
    "page", ["index.md", *slow(["getting_started.md", *LONG_PAGES])]
)
def test_the_code_on_the_page_runs(page: str, tmp_path: pathlib.Path):
    code = _code(DOCS / page)
    for long, short in SHORTENED.get(page, []):
        assert long in code
        code = code.replace(long, short)
    rows = [f"{30 * k % 360 - 180},{(7 * k) % 80},name" for k in range(60)]
    (tmp_path / "events.csv").write_text("\n".join(["longitude,latitude,name", *rows]))
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ
        | {
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(ROOT),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


# What the code on a page of the API takes from the text around it, by page.
AROUND = """
from functools import partial
import equinox as eqx, jax, jax.numpy as jnp, jax.random as jr, rgen
key, x0 = jr.key(0), rgen.Sphere(2).origin[None]
small = partial(rgen.nn.ScoreField, width=8, depth=1, frequencies=4)
process = rgen.Brownian(rgen.Sphere(2))
score = small(process, key=key)
model = rgen.ScoreModel(score, process, rgen.ReverseSDE(2))
"""
API_CODE = {
    "checkpoints.md": """
average, optimiser_state, step = model, (), jnp.array(3)
rgen.save("model.rgen", rgen.nn.ScoreField(process, width=8, key=key), dict(width=8))
""",
    "losses.md": "",
    "manifolds.md": "",
    "models.md": """
origin, x, process = x0[0], x0, rgen.OrnsteinUhlenbeck(rgen.Euclidean(2))
score = small(process, key=key)
""",
    "nn.md": "c = jnp.ones(2)\n",
    "symmetry.md": "",
}
# The code on a page defines a loss without calling it.
AFTER = {"losses.md": "assert jnp.isfinite(self_distillation_loss(field, x0, key))"}


@pytest.mark.parametrize("page", slow(list(API_CODE)))
def test_the_code_on_an_api_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = AROUND + API_CODE[page] + _code(DOCS / "api" / page) + AFTER.get(page, "")
    exec(code, {"__name__": page})


def test_all_code_on_the_api_pages_is_run():
    pages = (DOCS / "api").glob("*.md")
    assert sorted(page.name for page in pages if _code(page)) == sorted(API_CODE)
