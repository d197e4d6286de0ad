"""Pages that are made of templates and committed lines."""

import pathlib
import re
from collections.abc import Iterable


def fill(template: pathlib.Path, values: dict[str, str]) -> str:
    """The template with a value in the place of each `{{name}}`. Every placeholder
    needs a value, and every value a placeholder."""
    text = template.read_text("utf-8").rstrip("\n")
    asked = set(re.findall(r"\{\{(\w+)\}\}", text))
    if asked != values.keys():
        raise ValueError(
            f"{template.name}: expected placeholders for {sorted(values)}, got "
            f"{sorted(asked)}. Change the template, or the function that fills it."
        )
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    every = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in every)
