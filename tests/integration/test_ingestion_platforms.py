"""Files of Amazon Connect and Genesys Cloud become calls and call-backs, in any order, numbers replaced."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from expectations.gates import check
from infra.postgres import connect, warehouse_url
from infra.settings import Settings
from ingestion.adapters import ADAPTERS
from ingestion.quarantine import retry
from ingestion.run import IngestSummary, ingest

RECORDS = Path(__file__).parent.parent / "fixtures" / "platform_records"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROWS = {
    "calls": "select call_id, max(record_version), count(*) from raw.telephony_call group by 1 order by 1",
    "current": (
        "select distinct on (call_id) call_id, record_version, emitted_at, dialled_number, caller_key, "
        "caller_key_missing_reason, received_at, ivr_outcome, legs, ended_at from raw.telephony_call "
        "order by call_id, record_version desc"
    ),
    "events": "select event_id, callback_id, call_id, event, occurred_at, outcome from raw.callback_event order by 1",
    "records": "select platform, call_id, digest from raw.platform_record order by 1, 2, 3",
}


@pytest.fixture
def empty(
    warehouse: Settings, make_settings: Callable[..., Settings], superuser_url: Callable[..., str]
) -> Iterator[Callable[[], Settings]]:
    """Makes empty warehouses."""
    made = []

    def make() -> Settings:
        name = f"platforms_{uuid.uuid4().hex[:8]}"
        made.append(name)
        with psycopg.connect(superuser_url(warehouse), autocommit=True) as server:
            server.execute(f"create database {name} template pristine owner contactbi")
        url = warehouse_url(warehouse).set(database=name).render_as_string(hide_password=False)
        return make_settings(warehouse.home, database_url=url)

    yield make
    with psycopg.connect(superuser_url(warehouse), autocommit=True) as server:
        for name in made:
            server.execute(f"drop database {name} with (force)")


def rows(settings: Settings, which: str) -> list[tuple[Any, ...]]:
    with connect(settings) as connection:
        return connection.execute(ROWS[which]).fetchall()


def send(settings: Settings, folder: Path, files: dict[str, bytes]) -> IngestSummary:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return ingest(settings, "telephony_call", str(folder), now=NOW)


def name(platform: str, sequence: int) -> str:
    return f"telephony_call_{platform}_20260303T{sequence:02d}0000Z_{sequence}.jsonl"


def texts(platform: str) -> list[bytes]:
    [file] = RECORDS.glob(f"{platform}*")
    return [item.text for item in ADAPTERS[platform].records([file.read_bytes()])]


@pytest.mark.parametrize("platform", ["amazon_connect", "genesys_cloud"])
def test_any_order_in_any_files_gives_the_same_calls(
    platform: str, empty: Callable[[], Settings], tmp_path: Path
) -> None:
    records = texts(platform)
    assert len(records) >= 3
    whole = empty()
    summary = send(whole, tmp_path / "whole", {name(platform, 1): b"\n".join(records)})
    counts = summary.counts
    assert (counts.read, counts.quarantined) == (len(records), 0), summary.as_text()
    assert rows(whole, "calls"), "There are calls to compare."

    between = b"" if platform == "amazon_connect" else b"\n"
    again = ingest(whole, "telephony_call", str(tmp_path / "whole"), now=NOW)
    assert again.counts.read == 0
    twice = send(whole, tmp_path / "twice", {name(platform, 2): between.join(records)})
    assert (twice.counts.read, twice.counts.unchanged) == (len(records), len(records))

    apart = empty()
    for number, record in enumerate(reversed(records), start=1):
        send(apart, tmp_path / f"apart-{number}", {name(platform, number): record})
    for which in ("current", "events", "records"):
        assert rows(apart, which) == rows(whole, which), which


@pytest.mark.parametrize("platform", ["amazon_connect", "genesys_cloud"])
def test_no_number_of_a_customer_is_kept(
    platform: str, empty: Callable[[], Settings], tmp_path: Path
) -> None:
    settings = empty()
    records = texts(platform)
    sent = b"".join(records).decode()
    numbers = {number for number in ("7700900", "1632960") if number in sent}
    assert "7700900" in numbers, "There is a customer's number to look for."
    send(
        settings,
        tmp_path / "files",
        {name(platform, 1): b"\n".join([*records * 12, b'{"CustomerEndpoint": "+447700900123"}'])},
    )
    with connect(settings) as connection:
        kept = ""
        for table in (
            "raw.telephony_call",
            "raw.callback_event",
            "raw.platform_record",
            "quarantine.rows",
            "ops.files",
            "ops.platform_notes",
        ):
            kept += str(connection.execute(f"select * from {table}").fetchall())
        keyed = connection.execute("select count(caller_key) from raw.telephony_call").fetchone()
    assert keyed and keyed[0] > 0
    assert "1632960" in kept, "Our own numbers are there, so the look was in the right place."
    assert "7700900" not in kept


@pytest.mark.parametrize("platform", ["amazon_connect", "genesys_cloud"])
def test_personal_data_in_free_texts_is_not_kept(
    platform: str, empty: Callable[[], Settings], tmp_path: Path
) -> None:
    cards = ["4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "4222222222222"]
    spoken = ["07700 900123", "+44 7700 900456", "(07700) 900789", "00447700900321", "canary.one@example.com"]
    free = [*cards, *spoken]
    records = []
    for number, text in enumerate(free):
        for original in map(json.loads, texts(platform)):
            written = (
                json.dumps(original).replace("conn-", f"conn-{number}-").replace("gen-", f"gen-{number}-")
            )
            record = json.loads(written)
            attributes = {
                "ivr_path": f"menu, {text}, 1-2-3-4-5-6-7-8",
                "reason_codes": f"PHOTO;{text}",
                "language": text,
            }
            if platform == "amazon_connect":
                record["Attributes"] = attributes
                if record["Agent"] and text in cards:
                    record["Agent"]["Username"] = text
            else:
                for participant in record["participants"]:
                    participant["attributes"] = attributes
                    if "userId" in participant and text in cards:
                        participant["userId"] = text
            records.append(json.dumps(record).encode())
    settings = empty()
    summary = send(settings, tmp_path / "files", {name(platform, 1): b"\n".join(records)})
    assert summary.counts.loaded == len(records), summary.as_text()
    assert summary.counts.cards_redacted >= 3 * len(cards)
    with connect(settings) as connection:
        stored = ""
        for table in (
            "raw.telephony_call",
            "raw.callback_event",
            "raw.platform_record",
            "ops.platform_notes",
        ):
            stored += "\n".join(str(row) for row in connection.execute(f"select * from {table}"))
    assert "1-2-3-4-5-6-7-8" in stored and "PHOTO" in stored, "What is no personal data comes through."
    assert "[card number removed]" in stored and "[e-mail masked]" in stored and "[number masked]" in stored
    for canary in [
        *free,
        "4111111111111111",
        "1111 1111",
        "900123",
        "900456",
        "900789",
        "900321",
        "canary.one",
    ]:
        assert canary not in stored, canary


def test_a_call_that_is_refused_after_it_was_put_together_is_told(
    empty: Callable[[], Settings], tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    settings = empty()
    records = texts("amazon_connect")
    early = json.loads(records[0])
    early |= {"ContactId": "early", "InitialContactId": None}
    early["Queue"] |= {"EnqueueTimestamp": "2026-03-02T08:00:00Z"}  # before the call came in
    file = name("amazon_connect", 1)
    summary = send(settings, tmp_path / "files", {file: b"\n".join([*records, json.dumps(early).encode()])})
    counts = summary.counts
    assert counts.read == counts.loaded == len(records) + 1, "A refused call is no refused record."
    assert (counts.quarantined, counts.calls_refused) == (0, 1)
    assert "Calls put together from the rows, and refused: 1" in summary.as_text()
    with connect(settings) as connection:
        found = connection.execute(
            "select file, line_number, rule, call_id, raw_text from quarantine.rows"
        ).fetchall()
        assert connection.execute("select 1 from raw.telephony_call where call_id = 'early'").fetchall() == []
    assert found == [(file, len(records) + 1, "times_out_of_order", "early", "[the call, hidden]")]
    assert "times_out_of_order" in run_cli(settings, "quarantine", "list").stdout
    shown = run_cli(settings, "quarantine", "show", file).stdout
    assert f"Line {len(records) + 1}: times_out_of_order. The record was kept, but the call" in shown
    (gate,) = check(settings, "raw")
    assert gate.success, gate.as_text()
    assert f"{file} led to 1 that do not" in gate.as_text()

    retry(settings, file)
    again = ingest(settings, "telephony_call", str(tmp_path / "files"), now=NOW)
    assert (again.counts.loaded, again.counts.unchanged) == (0, len(records) + 1)
    assert again.counts.calls_refused == 1, "It was put together again."
    with connect(settings) as connection:
        assert connection.execute("select count(*) from quarantine.rows").fetchone() == (1,)


def test_damaged_records_are_refused_alone_and_counted(empty: Callable[[], Settings], tmp_path: Path) -> None:
    settings = empty()
    records = texts("amazon_connect")
    broken = json.loads(records[0]) | {"InitiationTimestamp": "2026-03-02T09:00:00"}
    lines = [*records * 12, json.dumps(broken).encode(), b'{"ContactId": ']
    summary = send(settings, tmp_path / "files", {name("amazon_connect", 1): b"\n".join(lines)})
    counts = summary.counts
    assert counts.read == counts.loaded + counts.unchanged + counts.quarantined
    assert (counts.loaded, counts.quarantined) == (len(records), 2), summary.as_text()
    with connect(settings) as connection:
        found = connection.execute(
            "select line_number, field, rule from quarantine.rows order by 1"
        ).fetchall()
    assert found == [
        (len(lines) - 1, "InitiationTimestamp", "timestamp_without_offset"),
        (len(lines), None, "invalid_json"),
    ]
