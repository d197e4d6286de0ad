"""The page: templates in `experiments/page`, filled in."""

import pathlib
import re


TEMPLATES = pathlib.Path(__file__).parents[1] / "page"


def fill(name: str, values: dict[str, str]) -> str:
    """The template of that name with a value in the place of each `{{name}}`. Every
    placeholder needs a value, and every value a placeholder."""
    text = (TEMPLATES / f"{name}.md").read_text("utf-8").rstrip("\n")
    asked = set(re.findall(r"\{\{(\w+)\}\}", text))
    if asked != values.keys():
        raise ValueError(
            f"{name}.md: expected placeholders for {sorted(values)}, got "
            f"{sorted(asked)}. Change the template, or the function that fills it."
        )
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)
