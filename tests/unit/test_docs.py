"""Tables and links in the documents are true: what they name is there, and what is there is named."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import yaml

from infra.settings import CHECKOUT
from ingestion.contract import interfaces
from transformation.dictionary import TARGET, dictionary

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
ANNEX_B = (
    "Calls Received", "Calls retained in IVR", "Calls presented to an agent queue", "Calls answered",
    "Calls answered within 30 seconds", "Calls answered within 70 seconds", "Wait time", "Abandon rate",
    "Time to abandon", "Grade of service (30 seconds)", "Grade of service (70 seconds)", "Call Backs Offered",
    "Average handling time", "First call resolution", "Repeat callers", "Transferred to 2nd Line Support",
    "Transferred to CSMT", "Customer Call Types", "Number of call backs attempted", "Number of call backs connected",
    "Number of new call backs generated", "Age of call-backs in the queue (WIP)",
    "Age of call-backs connected (completed)",
)  # fmt: skip
"""Every attribute of Annex B but the forecast, which is not built yet."""
EXAMPLES = {
    "The wait clock": ("Calls answered within 30 seconds", "Calls answered within 70 seconds"),
    "What an offered call that nobody answered counts as": (
        "Calls presented to an agent queue", "Calls answered", "Wait time", "Grade of service (30 seconds)",
        "Grade of service (70 seconds)",
    ),
    "Abandon rates": ("Calls Received", "Calls retained in IVR", "Abandon rate"),
    "Average handling time": ("Average handling time",),
    "Transfers": ("Transferred to 2nd Line Support", "Transferred to CSMT"),
    "Time to abandon": ("Time to abandon",),
    "Percentiles": ("Time to abandon",),
    "Repeat callers": ("Repeat callers",),
    "First call resolution": ("First call resolution",),
    "Call types": ("Customer Call Types",),
    "Call-backs": (
        "Call Backs Offered", "Number of call backs attempted", "Number of call backs connected",
        "Number of new call backs generated", "Age of call-backs in the queue (WIP)",
        "Age of call-backs connected (completed)",
    ),
    "E-mails": (), "Webchat and text": (), "Agents": (), "Volumes, opening hours, Welsh and complaints": (),
    "KPIs": (), "Restatements": (),
}  # fmt: skip
"""Sections of the metrics that have a worked example, and the attributes of Annex B that each shows."""
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


def test_every_clause_has_a_figure_and_a_proof_that_are_there() -> None:
    text = (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = text.split("## Every clause, its figure and its proof")[1]
    rows = [
        line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ") and "`" in line
    ]
    columns = {
        f"{model['name']}.{column['name']}"
        for path in (CHECKOUT / "dbt" / "models" / "marts").rglob("_*__models.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        for column in model["columns"]
    }
    tests = {path.stem for path in (CHECKOUT / "dbt" / "tests").glob("*.sql")} | {
        test["name"]
        for path in (CHECKOUT / "dbt" / "models").rglob("_*__unit_tests.yml")
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["unit_tests"]
    }
    clauses = {row[0] for row in rows}
    for attribute in ANNEX_B:
        assert any(clause.startswith(f"Annex B, {attribute}") for clause in clauses), attribute
    for clause, figures, proof in rows:
        named = re.findall(r"`([a-z0-9_]+\.[a-z0-9_]+)`", figures)
        assert named and set(named) <= columns, (clause, set(named) - columns)
        proofs = re.findall(r"`(\w+)`", proof)
        assert proofs and set(proofs) <= tests, (clause, set(proofs) - tests)


def test_every_kpi_is_explained_and_every_example_is_there() -> None:
    text = (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8")
    with (CHECKOUT / "dbt" / "seeds" / "kpis.csv").open(encoding="utf-8", newline="") as seed:
        codes = {row["kpi_code"] for row in csv.DictReader(seed)}
    assert codes and {code for code in codes if f"`{code}`" not in text} == set()
    assert {attribute for shown in EXAMPLES.values() for attribute in shown} == set(ANNEX_B)
    for section in EXAMPLES:
        body = re.split(r"^#+ ", text.split(f"# {section}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
        assert "**Worked example" in body, section


def test_there_are_links_to_follow() -> None:
    assert len(re.findall(r"\]\((?!https?:|#)", README)) > 15
