"""Tables and links in the documents are true: what they name is there, and what is there is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.settings import CHECKOUT
from ingestion.contract import interfaces
from transformation.dictionary import TARGET, dictionary

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    CHECKOUT / "README.md",
    *sorted((CHECKOUT / "docs").rglob("*.md")),
    CHECKOUT / "dags" / "README.md",
]


def test_the_readme_names_every_interface() -> None:
    named = re.findall(r"^\| \[`(\w+)`\]\(docs/interfaces/(\w+)\.md\)", README, re.MULTILINE)
    assert interfaces() and sorted(named) == [(name, name) for name in interfaces()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_data_dictionary_says_what_the_models_say() -> None:
    assert TARGET.read_text(encoding="utf-8") == dictionary(), (
        "run `python -m transformation.dictionary` and commit what it writes"
    )


def test_there_are_links_to_follow() -> None:
    assert len(re.findall(r"\]\((?!https?:|#)", README)) > 15
