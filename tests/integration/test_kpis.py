"""KPIs are judged as the oracle does, add up from the calls behind them, and are seen to change once reported."""

from __future__ import annotations

import csv
import json
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.rows import dict_row
from rich.console import Console

from analysis.explain import explain, write_items
from analysis.periods import read_period
from delivery.kpis.freeze import Frozen, freeze
from expectations.gates import check
from infra.postgres import connect
from infra.settings import Settings
from infra.simulator import simulate
from ingestion.contract import interfaces
from ingestion.raw_tables import ensure_raw_tables
from ingestion.run import ingest
from tests.oracle.annex_b import AnnexB
from tests.oracle.compare import assert_equal_rows
from tests.oracle.kpis import KEY, OF_CALLS, kpi_results
from tests.oracle.periods import period_start
from tests.oracle.records import read_folder
from tests.oracle.reference import from_seeds
from transformation.build import build

pytestmark = pytest.mark.services

AS_OF = datetime(2026, 6, 15, tzinfo=UTC)
"""More than 8 days after the end of May: that month is settled."""
LATE_FILE = "telephony_call_sim_20260614T230000Z_900000.jsonl"
LONDON = ZoneInfo("Europe/London")
LEFT_TO_OTHER_TESTS = {
    "kpi_name", "unit", "first_reported_value", "first_reported_at", "unmapped_share", "uncoded_share",
    "without_number_share", "quarantined_share", "missing_files", "_build_id",
}  # fmt: skip


@dataclass
class World:
    """A warehouse with twelve days about the end of May, the folder of its files, and what the oracle says of them."""

    settings: Settings
    folder: Path
    expected: list[dict[str, Any]]

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        with connect(self.settings, row_factory=dict_row) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()  # type: ignore[return-value]

    def oracle(self) -> list[dict[str, Any]]:
        calls = self.folder / "calls"
        names = {path.name for path in calls.iterdir() if path.suffix != ".sha256"}
        return list(kpi_results(AnnexB(read_folder(calls, datetime.now(UTC), names), from_seeds(), AS_OF)))

    def build(self, *, full_refresh: bool = False) -> None:
        result = build(self.settings, as_of=AS_OF, full_refresh=full_refresh, report=lambda line: None)
        assert result.succeeded, result.as_text()

    def results_of_calls(self) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in row.items() if name not in LEFT_TO_OTHER_TESTS}
            for row in self.rows("select * from marts.kpi_results where kpi_code = any(%s)", list(OF_CALLS))
        ]


@pytest.fixture(scope="module")
def world(warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world before anything was reported."""
    folder = tmp_path_factory.mktemp("world")
    simulate(
        folder / "all",
        days=12,
        seed=20260606,
        calls_per_day=150,
        last_day=date(2026, 6, 6),
        bad_row_share=0.002,
        interfaces=[name for name in interfaces() if name not in ("queue_snapshot", "agent_state")],
        wip_extracts=30,
        wip_applications=200,
    )
    (folder / "calls").mkdir()
    for path in (folder / "all").glob("telephony_call_*"):
        path.rename(folder / "calls" / path.name)
    ensure_raw_tables(warehouse)
    for source in ("calls", "all"):
        for interface in interfaces():
            ingest(warehouse, interface, str(folder / source), console=Console(quiet=True))
    made = World(warehouse, folder, [])
    made.build()
    made.expected = made.oracle()
    return made


def test_results_are_those_of_the_oracle(world: World) -> None:
    assert {row["status"] for row in world.expected} == {"met", "missed", "critical", "no_data"}
    assert any(row["service_credit_points"] for row in world.expected)
    assert any(row["consecutive_failures"] > 3 for row in world.expected)
    assert any(row["pending"] for row in world.expected)
    assert assert_equal_rows(world.expected, world.results_of_calls(), KEY) > 1000


def test_every_kpi_of_the_seed_is_judged(world: World) -> None:
    with (Path(__file__).parents[2] / "dbt" / "seeds" / "kpis.csv").open(encoding="utf-8") as seed:
        codes = {row["kpi_code"] for row in csv.DictReader(seed)}
    judged = {row["kpi_code"] for row in world.rows("select distinct kpi_code from marts.kpi_results")}
    # Files are loaded now and figures look from 2026: no file was loaded before them.
    assert judged == codes - {"FEED_FRESHNESS"}


def test_contributions_add_up_to_every_result(world: World) -> None:
    parts = world.rows("select * from marts.kpi_contributions")
    added: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for part in parts:
        for grain in ("day", "week", "month", "quarter", "year"):
            if part["grain"] in (None, grain):
                start = period_start(grain, part["counted_at"])
                of_line = added[part["kpi_code"], grain, start, part["line_of_business"]]
                of_all = added[part["kpi_code"], grain, start, "ALL"]
                of_line[0] += part["numerator"]
                of_line[1] += part["denominator"]
                if of_all is not of_line:
                    of_all[0] += part["numerator_in_all"]
                    of_all[1] += part["denominator"]
    results = world.rows("select * from marts.kpi_results")
    assert len(results) > 1000
    differ = [
        (row, added.get(tuple(row[name] for name in KEY)))
        for row in results
        if [row["numerator"], row["denominator"]] != added.get(tuple(row[name] for name in KEY), [0, 0])
    ]
    assert differ == []
    assert all((part["exclusion"] is None) == (part["denominator"] > 0) for part in parts)
    assert all(part["file_sha256"] for part in parts if part["item_kind"] == "call")


def test_coverage_stands_beside_each_result(world: World) -> None:
    (total,) = world.rows(
        "select * from marts.kpi_results where kpi_code = 'GOS_30' and grain = 'month' "
        "and line_of_business = 'ALL' and period_date = '2026-05-01'"
    )
    (calls,) = world.rows(
        "select count(*) filter (where line_of_business = 'UNMAPPED') as unmapped, count(*) as received, "
        "count(*) filter (where is_answered and primary_reason_code = 'UNCODED') as uncoded, "
        "count(*) filter (where is_answered) as answered, count(*) filter (where caller_key is null) as without_number "
        "from marts.fct_calls where not is_test and received_date <= '2026-05-31'"
    )
    assert calls["uncoded"] and calls["without_number"]
    for share, part, whole in (
        ("unmapped_share", "unmapped", "received"),
        ("uncoded_share", "uncoded", "answered"),
        ("without_number_share", "without_number", "received"),
    ):
        assert abs(total[share] - Decimal(calls[part]) / calls[whole]) < Decimal("1e-12")
    (files,) = world.rows(
        "select sum(rows_quarantined) as refused, sum(rows_read) as read from ops.files "
        "where interface = 'telephony_call' and file_stamp >= '2026-04-30T23:00Z' and file_stamp < '2026-05-31T23:00Z'"
    )
    assert files["refused"] and abs(total["quarantined_share"] - files["refused"] / files["read"]) < Decimal(
        "1e-12"
    )
    assert total["missing_files"] == 0


def test_explain_shows_definition_figure_calls_and_files(
    world: World, run_cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    shown = run_cli(
        world.settings, "explain", "gos_30", "--line", "pal", "--period", "2026-05", "--limit", "3"
    ).stdout
    (result,) = [
        row for row in world.expected
        if (row["kpi_code"], row["grain"], row["line_of_business"], row["period_date"])
        == ("GOS_30", "month", "PAL", date(2026, 5, 1))
    ]  # fmt: skip
    assert f"{result['numerator']:,} / {result['denominator']:,}" in shown
    assert "Answered calls whose wait was at most 30 seconds" in shown
    assert "Abandoned in the queue: no agent answered" in shown
    assert "the figure above." in shown
    assert shown.count("SHA-256") == 3

    for code in OF_CALLS:
        for text in ("2026-05-28", "2026-W22", "2026-05"):
            found = explain(world.settings, code, "ALL", read_period(text), limit=2)
            assert found.adds_up and len(found.items) == 2, found.as_text()
    assert write_items(world.settings, found, tmp_path / "items.csv") == found.counted["items"]
    with (tmp_path / "items.csv").open(encoding="utf-8", newline="") as file:
        items = list(csv.DictReader(file))
    assert (
        len(items) == found.counted["items"]
        and sum(Decimal(item["denominator"]) for item in items) == found.result["denominator"]
    )

    missing = run_cli(world.settings, "explain", "GOS_30", "--period", "2031-05", check=False)
    assert missing.returncode == 1 and "from 2026-05-01 to 2026-06-01" in missing.stderr


def test_what_was_reported_is_frozen_and_a_late_correction_is_seen_with_its_file(world: World) -> None:
    assert all(result.success for result in check(world.settings, None))
    first = freeze(world.settings, "feed")
    final = [row for row in world.rows("select * from marts.kpi_results") if row["is_final"]]
    assert first == Frozen(first=len(final), again=0)
    assert freeze(world.settings, "feed") == Frozen(0, 0)
    assert world.rows("select * from marts.kpi_restatements") == []

    (call,) = world.rows(
        "select * from marts.fct_calls where is_answered and not is_test and line_of_business = 'PAL' "
        "and wait_seconds <= 30 and legs_count = 1 and received_date = '2026-05-28' order by call_id limit 1"
    )
    answered_at = call["first_queued_at"] + timedelta(seconds=71)
    corrected = {
        "call_id": call["call_id"],
        "record_version": call["record_version"] + 1,
        "emitted_at": "2026-06-14T22:00:00Z",
        "dialled_number": call["dialled_number"],
        "received_at": call["received_at"].isoformat(),
        "ivr_outcome": "queued",
        "legs": [
            {
                "leg_no": 1,
                "queue": "PAL_GENERAL",
                "queued_at": call["first_queued_at"].isoformat(),
                "answered_at": answered_at.isoformat(),
                "left_at": (answered_at + timedelta(seconds=100)).isoformat(),
                "end_reason": "completed",
                "wrap_seconds": 5,
            }
        ],
        "ended_at": (answered_at + timedelta(seconds=100)).isoformat(),
    }
    (world.folder / "calls" / LATE_FILE).write_text(json.dumps(corrected) + "\n")
    ingest(world.settings, "telephony_call", str(world.folder / "calls"), console=Console(quiet=True))
    world.build()

    before = {tuple(row[name] for name in KEY): row for row in world.expected}
    after = {tuple(row[name] for name in KEY): row for row in world.oracle()}
    assert assert_equal_rows(after.values(), world.results_of_calls(), KEY)
    told = ("numerator", "denominator", "status", "service_credit_points")
    changed = {
        key for key, row in after.items()
        if row["is_final"] and any(row[name] != before[key][name] for name in told)
    }  # fmt: skip
    restated = world.rows("select * from marts.kpi_restatements")
    assert changed and {tuple(row[name] for name in KEY) for row in restated} == changed
    for row in restated:
        was, now = (side[tuple(row[name] for name in KEY)] for side in (before, after))
        assert (row["reported_numerator"], row["current_numerator"]) == (was["numerator"], now["numerator"])
        assert (row["reported_status"], row["current_status"]) == (was["status"], now["status"])
        assert (row["cause"], row["caused_by_files"]) == ("records", [LATE_FILE])
        if row["value_difference"] is not None:
            assert abs(row["value_difference"] - (row["current_value"] - row["reported_value"])) == 0

    world.build(full_refresh=True)
    assert world.rows("select * from marts.kpi_restatements order by 1, 2, 3, 4") == sorted(
        restated,
        key=lambda row: tuple(str(row[name]) if name != "period_start" else row[name] for name in KEY),
    )
    assert all(result.success for result in check(world.settings, None))
    assert freeze(world.settings, "pack") == Frozen(first=0, again=len(changed))
    shown = explain(world.settings, "GOS_30", "PAL", read_period("2026-05-28")).as_text()
    assert "AND HAS CHANGED SINCE" in shown
    assert {row["times_reported"] for row in world.rows("select * from marts.kpi_restatements")} == {2}
