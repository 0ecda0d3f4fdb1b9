"""The rules of the dbt project as tests over its manifest, and its unit tests run on a real warehouse."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import holidays
import psycopg
import pytest

from infra.postgres import warehouse_url
from infra.settings import CHECKOUT, Settings
from ingestion.raw_tables import ensure_raw_tables
from transformation.build import build, invoke, write_site

pytestmark = pytest.mark.services
PROJECT = CHECKOUT / "dbt"
# They read what the last build left: see the source `last_build`.
SOURCE_READERS_BESIDE_STAGING = {
    "int_agent_intervals_changed",
    "int_agent_stretches_changed",
    "int_backlog_intervals_changed",
    "int_backlog_intervals_moved",
    "int_call_ids_changed",
    "int_calls_resequenced",
    "int_complaint_periods_changed",
    "int_contact_ids_changed",
    "int_contact_periods_changed",
    "int_intervals_changed",
    "int_volume_intervals_changed",
}
RAW_SOURCE = "source.contactbi.last_build"


@pytest.fixture(scope="module")
def built(warehouse: Settings) -> Settings:
    """A warehouse whose marts stand, and are empty."""
    ensure_raw_tables(warehouse)
    result = build(warehouse, as_of=datetime(2026, 6, 1, tzinfo=UTC))
    assert result.succeeded, result.as_text()
    return warehouse


@pytest.fixture(scope="module")
def manifest(built: Settings) -> dict[str, Any]:
    return json.loads((built.home / "dbt" / "target" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    assert len(found) > 25
    return found


def marts(models: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    found = [node for node in models.values() if node["path"].startswith(("marts/", "feeds/"))]
    assert len(found) >= 13
    yield from found


def test_every_unit_test_passes(built: Settings) -> None:
    result = invoke(built, ["test", "--select", "test_type:unit"])
    outcomes = {outcome.node.name: outcome for outcome in result.result or []}
    assert len(outcomes) >= 13
    assert {name: o.message for name, o in outcomes.items() if str(o.status) != "pass"} == {}


def test_the_site_shows_every_model_and_needs_no_server(
    built: Settings, models: dict[str, dict[str, Any]]
) -> None:
    page = write_site(built, report=lambda line: None)
    text = page.read_text(encoding="utf-8")
    assert [name for name in models if f'"model.contactbi.{name}"' not in text] == []


def test_every_model_is_described(models: dict[str, dict[str, Any]]) -> None:
    assert [name for name, node in models.items() if not node["description"].strip()] == []


def test_every_column_of_a_mart_and_a_feed_is_described_and_typed(models: dict[str, dict[str, Any]]) -> None:
    for node in marts(models):
        assert node["config"]["contract"]["enforced"], node["name"]
        assert node["columns"], node["name"]
        for column in node["columns"].values():
            assert column["description"].strip(), f"{node['name']}.{column['name']} has no description"
            assert column["data_type"], f"{node['name']}.{column['name']} has no type"


def test_the_description_of_a_mart_begins_with_its_grain(models: dict[str, dict[str, Any]]) -> None:
    for node in marts(models):
        assert node["description"].startswith("One row per "), node["name"]


def test_descriptions_of_columns_are_those_in_the_warehouse(
    built: Settings, models: dict[str, dict[str, Any]]
) -> None:
    with psycopg.connect(warehouse_url(built).render_as_string(hide_password=False)) as connection:
        for node in marts(models):
            columns = connection.execute(
                "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
                (node["schema"], node["name"]),
            ).fetchall()
            assert {name for (name,) in columns} == set(node["columns"]), node["name"]


def test_only_staging_reads_sources(models: dict[str, dict[str, Any]]) -> None:
    readers = {
        name
        for name, node in models.items()
        if any(parent.startswith("source.") for parent in node["depends_on"]["nodes"])
    }
    assert {name for name in readers if name.startswith("stg_")}
    assert {name for name in readers if not name.startswith("stg_")} == SOURCE_READERS_BESIDE_STAGING
    for name in SOURCE_READERS_BESIDE_STAGING:
        sources = [parent for parent in models[name]["depends_on"]["nodes"] if parent.startswith("source.")]
        assert all(source.startswith(RAW_SOURCE) for source in sources), sources


def test_no_view_stands_on_a_table_that_every_build_makes_anew(models: dict[str, dict[str, Any]]) -> None:
    """Such a view would be dropped with the table, and a build that adds to the marts does not make it again."""
    made_anew = {
        node["unique_id"]
        for node in models.values()
        if node["config"]["materialized"] == "table" and "reference" not in node["tags"]
    }
    views = [node for node in models.values() if node["config"]["materialized"] == "view"]
    assert made_anew and len(views) > 20
    for node in views:
        # A view on a view is looked at itself.
        assert not made_anew & set(node["depends_on"]["nodes"]), node["name"]


def test_names_and_folders_follow_the_layers(models: dict[str, dict[str, Any]]) -> None:
    patterns = {
        "staging/": r"stg_[a-z_]+__[a-z_]+s",
        "intermediate/": r"int_[a-z0-9_]+",
        "marts/core/": r"(dim|fct)_[a-z_]+",
        "marts/annex_b/": r"(annex_b|service_level|time_to_abandon)_[a-z_]+",
        "marts/kpi/": r"kpi_[a-z_]+",
        "marts/segments/": r"(customer_segments|segment_profiles)",
        "marts/email/": r"email_[a-z_]+",
        "marts/webchat/": r"webchat_[a-z_]+",
        "marts/text/": r"text_[a-z_]+",
        "marts/workforce/": r"agent_[a-z_]+",
        "marts/contacts/": r"(contact|complaint)_[a-z_]+",
        "marts/quality/": r"[a-z_]+",
        "marts/wip/": r"wip_[a-z_]+",
        "feeds/": r"feed_[a-z_]+_v[0-9]+",
    }
    for name, node in models.items():
        folder = next((prefix for prefix in patterns if node["path"].startswith(prefix)), None)
        assert folder, f"{node['path']} is in no layer"
        assert re.fullmatch(patterns[folder], name), f"{name} is not a name for {folder}"


def test_every_annex_b_mart_has_a_unit_test(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    tested = {unit_test["model"] for unit_test in manifest["unit_tests"].values()}
    wanted = {name for name, node in models.items() if node["path"].startswith("marts/annex_b/")}
    assert len(wanted) >= 4
    assert wanted <= tested


def test_no_model_asks_what_time_it_is() -> None:
    files = sorted((PROJECT / "models").rglob("*.sql")) + sorted((PROJECT / "macros").rglob("*.sql"))
    assert len(files) > 30
    clock = re.compile(
        r"\b(now\s*\(|current_timestamp|current_date|clock_timestamp|localtime)", re.IGNORECASE
    )
    assert [path.name for path in files if clock.search(path.read_text())] == []


def test_lines_of_business_are_not_expanded() -> None:
    with (PROJECT / "seeds" / "lines_of_business.csv").open() as seed:
        rows = {row["line_of_business"]: row["description"] for row in csv.DictReader(seed)}
    assert set(rows) == {"PAL", "ABI", "DSLR", "PVS", "UNMAPPED", "ALL"}
    assert all(rows[line] == f"Line of business {line}" for line in ("PAL", "ABI", "DSLR", "PVS"))


def test_bank_holidays_are_those_of_the_library() -> None:
    with (PROJECT / "seeds" / "bank_holidays.csv").open() as seed:
        shipped = {
            date.fromisoformat(row["holiday_date"]): row["holiday_name"] for row in csv.DictReader(seed)
        }
    assert shipped == dict(holidays.country_holidays("GB", subdiv="ENG", years=range(1990, 2050)))


MAPPINGS = {
    "dialled_numbers": ["dialled_number"],
    "queues": ["queue"],
    "reason_codes": ["reason_code", "channel"],
    "opening_hours": ["line_of_business", "day_kind"],
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_has_no_overlap(name: str) -> None:
    with (PROJECT / "seeds" / f"{name}.csv").open() as seed:
        rows = list(csv.DictReader(seed))
    spans: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for row in rows:
        key = tuple(row[column] for column in MAPPINGS[name])
        spans.setdefault(key, []).append((row["valid_from"], row["valid_to"] or "9999-12-31"))
    assert spans
    for key, stretches in spans.items():
        stretches.sort()
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(stretches)), key
