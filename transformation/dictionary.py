"""Writes the data dictionary, docs/data-dictionary.md, from the descriptions in the dbt project.

`python -m transformation.dictionary` writes it; a test holds it to what the project says. Only marts and feeds are in
it: what analysts read. `contactbi docs` builds dbt's own site, which shows everything else, with lineage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from infra.settings import CHECKOUT

TARGET = CHECKOUT / "docs" / "data-dictionary.md"
_MODELS = CHECKOUT / "dbt" / "models"
_FOLDERS = {"marts": "marts", "feeds": "feeds"}
_OPENING = """\
# Data dictionary

Every table and view that people and feeds read, with every column. Written by `python -m
transformation.dictionary` from the descriptions in `dbt/models`; change them there. What the figures mean, with
examples, is in [metrics.md](metrics.md). All instants are in UTC; periods are cut in local time (Europe/London);
durations are in seconds; a rate or share lies between 0 and 1.
"""


def dictionary() -> str:
    """The whole document as Markdown."""
    models = {schema: list(_models(_MODELS / folder)) for schema, folder in _FOLDERS.items()}
    lines = [*_OPENING.splitlines(), ""]
    for schema, found in models.items():
        lines += [f"- [{schema}.{model['name']}](#{schema}{model['name']})" for model in found]
    for schema, found in models.items():
        for model in found:
            lines += ["", f"## {schema}.{model['name']}", "", _one_line(model["description"]), ""]
            lines += ["| column | type | meaning |", "|---|---|---|"]
            lines += [
                f"| `{column['name']}` | {column['data_type']} | {_one_line(column['description'])} |"
                for column in model["columns"]
            ]
    return "\n".join(lines) + "\n"


def _models(folder: Path) -> Iterator[dict[str, Any]]:
    """Models described under a folder, by name."""
    described = [
        model
        for path in folder.rglob("_*__models.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    ]
    yield from sorted(described, key=lambda model: str(model["name"]))


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(dictionary(), encoding="utf-8")
