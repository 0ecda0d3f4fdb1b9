"""KPIs are judged as the oracle does, add up from the calls behind them, and are seen to change once reported."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
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
from expectations.contracts import read_contract
from expectations.gates import check
from infra.postgres import connect
from infra.settings import Settings
from infra.simulator import simulate
from ingestion.contract import interfaces
from ingestion.raw_tables import ensure_raw_tables
from ingestion.run import ingest
from tests.integration.test_contacts_equal_oracle import START, WIP_COLUMNS, House, Outside, at, write
from tests.oracle.annex_b import AnnexB
from tests.oracle.compare import assert_equal_rows
from tests.oracle.kpis import KEY, OF_CALLS, Channels, Load, kpi_results
from tests.oracle.periods import period_start
from tests.oracle.records import read_folder
from tests.oracle.reference import from_seeds
from transformation.build import build

pytestmark = pytest.mark.services

AS_OF = datetime(2026, 6, 15, tzinfo=UTC)
"""More than 8 days after the end of May: that month is settled."""
LATE_FILE = "telephony_call_sim_20260614T230000Z_900000.jsonl"
LONDON = ZoneInfo("Europe/London")
DBT = Path(__file__).parents[2] / "dbt"
LEFT_TO_OTHER_TESTS = {
    "kpi_name", "unit", "first_reported_value", "first_reported_at", "_build_id",
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


def load_then(settings: Settings) -> None:
    """Say in the ledger that each file was loaded soon after it was sent: figures look from then, and tests run now."""
    with connect(settings) as connection:
        connection.execute(
            "update ops.files set finished_at = file_stamp + mod(file_sequence * 37, 200) * interval '1 minute'"
        )


def publish_then(settings: Settings) -> None:
    """Say in the ledger that the raw feed published the files of calls some minutes later; a fifth of them, never."""
    with connect(settings) as connection:
        connection.execute(
            """
            with files as (
                select *, (select max(feed_version) from ops.feed_files) as last_version,
                    row_number() over (order by file_stamp) as place
                from ops.files
                where interface = 'telephony_call' and state = 'loaded' and mod(file_sequence, 5) <> 0
                    and file_id not in (select file_id from ops.feed_files)
            ),
            batches as (
                insert into ops.feed_batches (feed, feed_version, build_id, replaces_table, state, committed_at)
                select 'raw/calls', coalesce(last_version, 0) + place, (select max(build_id) from ops.builds), false,
                    'committed', finished_at + mod(file_sequence * 9, 20) * interval '1 minute'
                from files
            )
            insert into ops.feed_files (feed, file_id, feed_version, load_batches)
            select 'raw/calls', file_id, coalesce(last_version, 0) + place, array[batch_id] from files
            """
        )


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
    load_then(warehouse)
    made.build()
    publish_then(warehouse)
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
    assert judged == codes


def test_contributions_add_up_to_every_result(world: World) -> None:
    assert_contributions_add_up(world.rows)


def assert_contributions_add_up(ask: Callable[[str], list[dict[str, Any]]]) -> None:
    parts = ask("select * from marts.kpi_contributions")
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
    results = ask("select * from marts.kpi_results")
    assert len(results) > 500
    differ = [
        (row, added.get(tuple(row[name] for name in KEY)))
        for row in results
        if [row["numerator"], row["denominator"]] != added.get(tuple(row[name] for name in KEY), [0, 0])
    ]
    assert differ == []
    assert all((part["exclusion"] is None) == (part["denominator"] > 0) for part in parts)
    assert all(part["file_sha256"] for part in parts)


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


def test_the_promise_of_the_extract_is_that_of_its_contract() -> None:
    (promise,) = re.findall(
        r"interval '(\d+) minutes'", (DBT / "macros" / "kpis.sql").read_text(encoding="utf-8")
    )
    assert read_contract("wip_extract").freshness_minutes == int(promise)


class Awaited(Outside):
    """Rows of every interface, with call-backs and e-mails on the very edge of falling due."""

    def others(self) -> None:
        super().others()
        asked = START + timedelta(hours=5, minutes=0.5)
        for number, (event, after) in enumerate(
            [
                ("connected", timedelta(hours=24)),
                ("connected", timedelta(hours=24, microseconds=-1)),
                ("cancelled", timedelta(hours=24)),
                ("cancelled", timedelta(hours=24, microseconds=-1)),
                ("expired", timedelta(hours=2)),
                ("connected", timedelta(hours=-1)),
                ("cancelled", timedelta(hours=-1)),
            ]
        ):
            for name, moment in (("requested", asked), (event, asked + after)):
                self.add(
                    "callback_event",
                    {
                        "event_id": f"edge{number}-{name}", "callback_id": f"edge{number}", "call_id": None,
                        "channel": "voice", "dialled_number": "+441632960001", "event": name, "occurred_at": at(moment),
                        "outcome": None, "agent_id": None, "reason_codes": [],
                    },
                )  # fmt: skip
        for number, (replied, passed_on) in enumerate(
            [(48, None), (47.9999, None), (None, 47.9999), (None, 48), (50, 40), (40, 30), (None, None)]
        ):
            self.add("email_message", mail(f"edge{number}", asked, replied, passed_on))


def mail(
    key: str, received: datetime, replied: float | None, passed_on: float | None = None, **changed: Any
) -> dict[str, Any]:
    """An inbound e-mail, replied to and passed on so many hours after it was received."""
    return {
        "message_id": key, "record_version": 1, "emitted_at": at(received), "thread_id": key, "direction": "inbound",
        "mailbox": "pal", "line_of_business": "PAL", "from_address": "one@example.com", "received_at": at(received),
        "replied_at": None if replied is None else at(received + timedelta(hours=replied)), "agent_id": None,
        "reason_codes": [], "transferred_to": None if passed_on is None else "csmt",
        "transferred_at": None if passed_on is None else at(received + timedelta(hours=passed_on)),
        "is_complaint": False, **changed,
    }  # fmt: skip


def compare(house: House, as_of: datetime) -> list[dict[str, Any]]:
    """Compare every KPI with the oracle, row for row; what the oracle expects."""
    names = [name for name in house.arrived if name.startswith("telephony_call_")]
    figures = AnnexB(read_folder(house.inbox, datetime.now(UTC), names), from_seeds(), as_of)
    secret = house.settings.caller_hash_key.get_secret_value().encode()
    loads = [
        Load(**row)
        for row in house.rows(
            "select interface, finished_at as loaded_at, rows_loaded as rows, committed_at as published_at "
            "from ops.files left join ops.feed_files using (file_id) "
            "left join ops.feed_batches using (feed, feed_version)"
        )
    ]
    expected = list(kpi_results(figures, Channels(house.inbox, house.arrived, secret, as_of), loads))
    found = [
        {name: value for name, value in row.items() if name not in LEFT_TO_OTHER_TESTS}
        for row in house.rows("select * from marts.kpi_results")
    ]
    assert_equal_rows(expected, found, KEY)
    return expected


def test_every_kpi_is_that_of_the_oracle_in_increments_in_full_in_any_order_and_twice(
    new_house: Callable[[], AbstractContextManager[House]], tmp_path: Path
) -> None:
    drawn = Awaited(20260328)
    sent = tmp_path / "sent"
    sent.mkdir()
    files, extracts = drawn.files(sent), drawn.extracts(sent)
    held_back = [path for path in files if path.name.endswith("_000002.jsonl")]
    there = [path for path in files if path not in held_back]
    first, second, third = (START + timedelta(hours=hours) for hours in (27, 9 * 24 + 1, 20 * 24))
    with new_house() as house:
        # An extract that is older than the last one would be refused.
        rounds = (
            (there[::2], extracts[:3], first),
            (there[1::2], extracts[3:], second),
            (held_back, [], third),
        )
        seen = []
        for some, some_extracts, as_of in rounds:
            house.arrive([*drawn.random.sample(some, len(some)), *some_extracts])
            load_then(house.settings)
            house.build(as_of)
            publish_then(house.settings)
            seen += compare(house, as_of)
        assert_everything_was_met(seen)
        assert_contributions_add_up(house.rows)
        assert {part["exclusion"] for part in house.rows("select exclusion from marts.kpi_contributions")} >= {
            "Cancelled before it fell due", "Passed on before it fell due", "Nobody asked for it: it has no age",
            "Resolved before it was asked for: a clock was wrong",
            "Nobody recorded when it joined the queue: its wait is not known",
        }  # fmt: skip
        increments = house.whole("kpi_results")
        house.build(third)
        assert house.whole("kpi_results") == increments
        house.build(third, full_refresh=True)
        assert house.whole("kpi_results") == increments
    with new_house() as house:
        house.arrive([*drawn.random.sample(files, len(files)), *extracts])
        load_then(house.settings)
        house.build(third)
        publish_then(house.settings)
        assert house.whole("kpi_results") == increments


def assert_everything_was_met(seen: list[dict[str, Any]]) -> None:
    """What the comparison is for was among the rows, or it proves nothing."""
    codes = {row["kpi_code"] for row in seen}
    assert len(codes) == 13
    for code in codes:
        rows = [row for row in seen if row["kpi_code"] == code]
        assert any(row["denominator"] for row in rows), code
        assert {row["is_final"] for row in rows} == {True, False}, code
        assert code == "FEED_FRESHNESS" or any(row["missing_files"] is not None for row in rows), code
    for code in ("CALLBACKS_24H", "EMAILS_48H", "WEBCHAT_60S", "WIP_FRESHNESS", "FEED_FRESHNESS"):
        shares = [row["value"] for row in seen if row["kpi_code"] == code and row["denominator"]]
        assert any(0 < share < 1 for share in shares), code
    assert any(row["kpi_code"] == "FEED_FRESHNESS" and row["status"] == "no_data" for row in seen)
    assert {row["is_complete"] for row in seen if row["is_final"]} == {True, False}
    assert any(
        not row["is_final"] and row["is_complete"] and not row["pending"] and row["period_end"] < row["as_of"]
        for row in seen
    )


MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(days: float, hours: float = 0) -> datetime:
    return MARCH + timedelta(days=days, hours=hours)


def answered(key: str, received: datetime, wait: int) -> dict[str, Any]:
    """A call of PAL that was answered after so many seconds."""
    taken = received + timedelta(seconds=wait)
    left = taken + timedelta(seconds=100)
    return {
        "call_id": key, "record_version": 1, "emitted_at": at(received + timedelta(hours=1)), "is_test": False,
        "dialled_number": "+441632960001", "caller_number": None, "language": "en", "received_at": at(received),
        "ivr_outcome": "queued", "ended_at": at(left),
        "legs": [{
            "leg_no": 1, "queue": "PAL_GENERAL", "queued_at": at(received), "answered_at": at(taken),
            "left_at": at(left), "agent_id": "a1", "wrap_seconds": 5, "end_reason": "completed",
            "reason_codes": ["FEES"],
        }],
    }  # fmt: skip


def chat(started: datetime, line: str, version: int) -> dict[str, Any]:
    """A webchat that was accepted after half a minute."""
    return {
        "chat_id": "w1", "record_version": version, "emitted_at": at(after(5)), "customer_id": None,
        "line_of_business": line, "language": "en", "started_at": at(started), "queued_at": at(started),
        "accepted_at": at(started + timedelta(seconds=30)), "first_response_at": None,
        "ended_at": at(started + timedelta(seconds=300)), "end_reason": "completed", "transfer_to": None,
        "agent_id": "a7", "reason_codes": [], "transcript": [],
    }  # fmt: skip


def event(name: str, moment: datetime) -> dict[str, Any]:
    return {
        "event_id": name, "callback_id": "b1", "call_id": None, "channel": "voice", "dialled_number": "+441632960001",
        "event": name, "occurred_at": at(moment), "outcome": None, "agent_id": None, "reason_codes": [],
    }  # fmt: skip


def test_a_late_file_of_any_interface_is_named_where_a_record_was_and_where_it_is(
    new_house: Callable[[], AbstractContextManager[House]], tmp_path: Path
) -> None:
    """Also where it only takes something away, only repeats a record, or counts on another day than it is dated."""

    def file(interface: str, sequence: int, *rows: dict[str, Any]) -> Path:
        return write(tmp_path, interface, after(18, sequence / 10), sequence, rows)

    def extract(sequence: int) -> Path:
        row = dict.fromkeys(WIP_COLUMNS, "") | {
            "application_ref": f"PEX{sequence}", "surname": "Example", "date_of_birth": "1980-02-29",
            "postcode": "ZZ1 1ZZ", "application_type": "renewal", "channel": "online", "service": "standard",
            "region": "UK", "country": "GB", "received_at": at(after(-5)), "stage": "received",
            "stage_entered_at": at(after(-5)), "csmt_owned": "N", "last_updated_at": at(after(-5)),
        }  # fmt: skip
        return file("wip_extract", sequence, row)

    def loaded(moment: datetime, path: Path) -> None:
        with connect(house.settings) as connection:
            connection.execute("update ops.files set finished_at = %s where name = %s", (moment, path.name))

    before = [
        file("telephony_call", 1, answered("c1", after(1), 10), answered("other", after(0), 10)),
        file("telephony_call", 2, answered("c1", after(1), 80)),
        file("email_message", 1, mail("m1", after(2), 30), mail("m2", after(2), 30)),
        file("webchat_session", 1, chat(after(4), "PAL", 1)),
        file("callback_event", 1, event("connected", after(6, 10))),
        extract(1),
    ]
    late = [
        file("telephony_call", 3, answered("c1", after(1), 10), answered("c2", after(8), 10)),
        file("email_message", 2, mail("m1", after(2), None, line_of_business="ABI", record_version=2)),
        file("webchat_session", 2, chat(after(5), "PVS", 2)),
        file("callback_event", 2, event("requested", after(5, 15))),
        extract(2),
    ]
    with new_house() as house:
        house.arrive(before)
        loaded(after(0), before[0])
        loaded(after(0), before[-1])
        house.build(after(19))
        assert all(result.success for result in check(house.settings, None))
        assert freeze(house.settings, "feed").first
        house.arrive(late)
        loaded(after(7), late[0])
        loaded(after(3), late[-1])
        house.build(after(19))
        restated = house.rows("select * from marts.kpi_restatements where grain = 'day'")
        interfaces_of = {
            row["kpi_code"]: row["interface"].replace("raw_feed", "telephony_call")
            for row in house.rows("select * from marts.kpi_definitions")
        }
        files_of = {path.name.split("_test_")[0]: path.name for path in late}
        assert [
            row for row in restated
            if (row["cause"], row["caused_by_files"]) != ("records", [files_of[interfaces_of[row["kpi_code"]]]])
        ] == []  # fmt: skip
        found = {(row["kpi_code"], row["line_of_business"], row["period_date"].day) for row in restated}
        assert found >= {
            ("GOS_30", "PAL", 2), ("GOS_70", "ALL", 2), ("CALLS_ANSWERED", "PAL", 9), ("FEED_FRESHNESS", "ALL", 8),
            ("EMAILS_48H", "PAL", 5), ("EMAILS_48H", "ABI", 5), ("EMAILS_48H", "ALL", 5),
            ("WEBCHAT_60S", "PAL", 5), ("WEBCHAT_60S", "PVS", 6), ("WEBCHAT_60S", "ALL", 6),
            ("CALLBACKS_24H", "PAL", 8), ("WIP_FRESHNESS", "ALL", 4),
        }  # fmt: skip
        weeks = house.rows("select * from marts.kpi_restatements where grain = 'week'")
        assert weeks and all(row["caused_by_files_count"] == 1 for row in weeks)

        # Seen from before the report nothing had been reported yet, whatever is not there from then.
        house.build(after(6), full_refresh=True)
        assert house.rows("select * from marts.kpi_restatements") == []
