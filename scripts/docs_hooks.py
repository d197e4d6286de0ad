"""Adds pages to the site that are written elsewhere: the notebooks with the outputs of
their last run, CONTRIBUTING.md and CHANGELOG.md. MkDocs calls it, see mkdocs.yml."""

import functools
import pathlib
import re
from typing import NamedTuple

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter


ROOT = pathlib.Path(__file__).parents[1]
GALLERY = "<!-- gallery -->"


class Tutorial(NamedTuple):
    name: str
    title: str
    opening: str
    body: str
    pictures: dict[str, bytes]


@functools.cache
def tutorials() -> list[Tutorial]:
    return [tutorial(path) for path in sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))]


def tutorial(path: pathlib.Path) -> Tutorial:
    notebook = nbformat.read(path, as_version=4)
    body, resources = MarkdownExporter().from_notebook_node(notebook)
    pictures = {f"{path.stem}_{k}": v for k, v in resources["outputs"].items()}
    for name in resources["outputs"]:
        body = body.replace(f"({name})", f"({path.stem}_{name})")
    # Its alternative text would be the type of the picture.
    body = re.sub(r"!\[\w+\]", "![Output of the cell above]", body)
    title, _, opening = notebook.cells[0]["source"].partition("\n")
    return Tutorial(path.stem, title.lstrip("# "), opening.strip(), body, pictures)


def gallery(found: list[Tutorial], folder: str) -> str:
    """A card for each tutorial: its last picture, its title and its first sentence."""
    cards = []
    for each in found:
        first = re.split(r"(?<=[.:])\s", each.opening.replace("\n", " "))[0]
        picture = f"![]({folder}{list(each.pictures)[-1]})" if each.pictures else ""
        link = f"{folder}{each.name}.md"
        cards.append(f"-   [{picture}<br>**{each.title}**]({link})\n\n    {first}\n")
    return '<div class="gallery" markdown>\n\n' + "\n".join(cards) + "\n</div>\n"


def beside_docs(name: str) -> str:
    """A page of the root of the repository, with its links as they are on the site."""
    return (ROOT / name).read_text("utf-8").replace("](docs/", "](")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts each tutorial below the page of all of them."""
    # Of the last build, where `mkdocs serve` makes another.
    tutorials.cache_clear()
    assert config.nav is not None
    pages = [{each.title: f"tutorials/{each.name}.md"} for each in tutorials()]
    for item in config.nav:
        if "Tutorials" in item:
            item["Tutorials"] = [item["Tutorials"], *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    found = tutorials()
    pages: dict[str, str | bytes] = {
        "contributing.md": beside_docs("CONTRIBUTING.md"),
        "changelog.md": beside_docs("CHANGELOG.md"),
        "tutorials/index.md": "# Tutorials\n\n"
        "Each is a notebook that runs in about three minutes on two cores. The outputs "
        "here are those of its last run; the sources are in `notebooks/`.\n\n"
        + gallery(found, ""),
    }
    for each in found:
        pages[f"tutorials/{each.name}.md"] = each.body
        for name, picture in each.pictures.items():
            pages[f"tutorials/{name}"] = picture
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    if GALLERY not in markdown:
        return markdown
    return markdown.replace(GALLERY, gallery(tutorials(), "tutorials/"))
