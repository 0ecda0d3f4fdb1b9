"""Files whose rows are not simply the rows of raw: those of platforms, and those that are loaded again.

What the gates say of them, from the file to the feed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from delivery.feeds.catalogue import CALL_LEGS, CALLS, Feed
from delivery.feeds.publish import PublishedFeed, publish
from expectations.gates import check
from expectations.suites import read_suite
from infra.postgres import MIGRATIONS, connect
from infra.s3 import s3_client, s3_storage_options
from infra.settings import Settings
from ingestion.adapters import ADAPTERS
from ingestion.quarantine import retry
from ingestion.run import ensure_raw_tables, ingest
from tests.fixtures.interface_files import CONTRACTS, NOW, ask, empty, file_of, good, name_of
from transformation.build import build

pytestmark = pytest.mark.services

RECORDS = Path(__file__).parent.parent / "fixtures" / "platform_records"
TEXTS, WIP, TELEPHONY = CONTRACTS["text_message"], CONTRACTS["wip_extract"], CONTRACTS["telephony_call"]


@pytest.fixture
def db(warehouse: Settings) -> Iterator[Settings]:
    """An empty warehouse, with a bucket."""
    ensure_raw_tables(warehouse)
    empty(warehouse)
    yield warehouse


def with_bucket(settings: Settings, name: str) -> Settings:
    """The settings with a bucket that no other test has touched."""
    s3_client(settings).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}
    )
    return settings.model_copy(update={"s3_bucket": name})


def published(settings: Settings, feed: Feed) -> list[dict[str, Any]]:
    """All rows of the feed's Delta table."""
    address = f"s3://{settings.s3_bucket}/{feed.name}"
    table = DeltaTable(address, storage_options=s3_storage_options(settings))
    rows: list[dict[str, Any]] = table.to_pyarrow_table().to_pylist()
    return rows


def build_and_publish(settings: Settings) -> dict[str, PublishedFeed]:
    """What the scheduler does after a load."""
    result = build(settings, as_of=datetime(2026, 3, 10, tzinfo=UTC), report=lambda line: None)
    assert result.succeeded, result.as_text()
    for gate in check(settings):
        assert gate.success, gate.as_text()
    return {feed.feed: feed for feed in publish(settings, report=lambda line: None)}


def test_the_gate_knows_the_platforms_whose_records_are_kept() -> None:
    assert set(read_suite("telephony_call").kept_as_sent) == ADAPTERS.keys()


def test_files_of_platforms_reach_the_feed(db: Settings, tmp_path: Path) -> None:
    settings = with_bucket(db, "test-of-platforms")
    for number, file in enumerate(sorted(RECORDS.iterdir()), start=1):
        name = f"telephony_call_{file.stem}_20260303T{number:02d}0000Z_{number}.jsonl"
        (tmp_path / name).write_bytes(file.read_bytes())
    summary = ingest(settings, "telephony_call", str(tmp_path), now=datetime(2026, 11, 24, tzinfo=UTC))
    assert summary.files("loaded") == len(ADAPTERS), summary.as_text()
    [(calls, records)] = ask(
        settings,
        "select (select count(*) from raw.telephony_call), (select count(*) from raw.platform_record)",
    )
    assert 0 < calls < records == summary.counts.loaded, "Some records tell of one call."
    result = build(settings, as_of=datetime(2026, 11, 24, tzinfo=UTC), report=lambda line: None)
    assert result.succeeded, result.as_text()
    for gate in check(settings):
        assert gate.success, gate.as_text()
    published = {feed.feed: feed for feed in publish(settings, report=lambda line: None)}
    assert published["raw/calls"].rows == calls

    ask(
        settings,
        "delete from raw.platform_record where ctid = (select min(ctid) from raw.platform_record) returning 1",
    )
    ask(settings, "delete from ops.gate_results where gate = 'raw' returning 1")
    (lost,) = check(settings, "raw")
    assert not lost.success, "A record that is lost closes the gate."
    assert "The raw table holds as many rows of each file as were loaded from it." in lost.as_text()


def test_rows_that_a_retry_loads_reach_the_feed_and_no_row_comes_twice(db: Settings, tmp_path: Path) -> None:
    settings = with_bucket(db, "test-of-retries")
    records = [good(TELEPHONY, number) for number in range(40)]
    early = good(TELEPHONY, 40, emitted_at="2026-03-04T13:00:00Z")
    name = name_of(TELEPHONY, 1)
    (tmp_path / name).write_bytes(file_of(TELEPHONY, [*records, early, good(TELEPHONY, 41, language="xx")]))
    assert ingest(settings, "telephony_call", str(tmp_path), now=NOW).counts.loaded == 40
    assert build_and_publish(settings)[CALLS.name].rows == 40

    retry(settings, name)
    again = ingest(settings, "telephony_call", str(tmp_path), now=NOW + timedelta(days=1))
    assert (again.counts.loaded, again.counts.unchanged, again.counts.quarantined) == (1, 40, 1)
    assert build_and_publish(settings)[CALLS.name].rows == 1
    calls = published(settings, CALLS)
    assert sorted(row["call_id"] for row in calls) == sorted(each["call_id"] for each in (*records, early))
    assert max(calls, key=lambda row: row["feed_version"])["call_id"] == early["call_id"]
    legs = ask(settings, f"select call_id, leg_no from {CALL_LEGS.relation} order by 1, 2")
    assert sorted((row["call_id"], row["leg_no"]) for row in published(settings, CALL_LEGS)) == legs
    assert len(legs) == 41
    judged = "select feed_version from staging.stg_ops__feed_files where feed = %s"
    assert ask(settings, judged, CALLS.name) == [(max(row["feed_version"] for row in calls),)], (
        "The KPI of the feeds judges a file once, by its last load."
    )


def test_a_warehouse_of_before_publishes_what_a_retry_had_added_to_it(db: Settings, tmp_path: Path) -> None:
    """Migration 0012 on pins that did not say which loads they cover."""
    settings = with_bucket(db, "test-of-retries-before")
    records = [good(TELEPHONY, number) for number in range(40)]
    early = good(TELEPHONY, 40, emitted_at="2026-03-04T13:00:00Z")
    name = name_of(TELEPHONY, 1)
    (tmp_path / name).write_bytes(file_of(TELEPHONY, [*records, early]))
    ingest(settings, "telephony_call", str(tmp_path), now=NOW)
    build_and_publish(settings)
    retry(settings, name)
    assert ingest(settings, "telephony_call", str(tmp_path)).counts.loaded == 1
    with connect(settings) as connection:
        connection.execute("update ops.feed_files set load_batches = '{}'")
        _, fill = (MIGRATIONS / "0012_feed_loads.sql").read_text(encoding="utf-8").split("do $$")
        connection.execute(f"do $${fill}")
    build_and_publish(settings)
    calls = [row["call_id"] for row in published(settings, CALLS)]
    assert sorted(calls) == sorted(each["call_id"] for each in (*records, early))


def test_a_file_that_is_loaded_again_passes_the_gate(db: Settings, tmp_path: Path) -> None:
    records = [good(TEXTS, number) for number in range(40)]
    early = good(TEXTS, 40, sent_at="2026-03-04T13:00:00Z", delivered_at=None)
    name = name_of(TEXTS, 1)
    (tmp_path / name).write_bytes(file_of(TEXTS, [*records, early, good(TEXTS, 41, direction="sideways")]))
    ingest(db, "text_message", str(tmp_path), now=NOW)
    for later, loaded, unchanged in ((0, 0, 40), (1, 1, 40), (1, 0, 41)):
        retry(db, name)
        counts = ingest(db, "text_message", str(tmp_path), now=NOW + timedelta(days=later)).counts
        assert (counts.loaded, counts.unchanged) == (loaded, unchanged)
        (result,) = check(db, "raw")
        assert result.success, result.as_text()
    retry(db, name)
    strict = db.model_copy(update={"max_bad_row_share": 0})
    assert ingest(strict, "text_message", str(tmp_path), now=NOW).files("quarantined") == 1
    (result,) = check(db, "raw")
    assert result.success, result.as_text()
    assert ask(db, "select state, rows_before, rows_loaded from ops.files") == [("quarantined", 41, 0)]


def test_an_extract_that_is_loaded_again_passes_the_gate(db: Settings, tmp_path: Path) -> None:
    name = name_of(WIP, 1)
    rows = [good(WIP, number) for number in range(40)]
    early = good(WIP, 40, last_updated_at="2026-03-04T13:00:00Z")
    (tmp_path / name).write_bytes(file_of(WIP, [*rows, early]))
    ingest(db, "wip_extract", str(tmp_path), now=NOW)
    retry(db, name)
    counts = ingest(db, "wip_extract", str(tmp_path), now=NOW + timedelta(days=1)).counts
    assert (counts.loaded, counts.unchanged) == (1, 40)
    (result,) = check(db, "raw")
    assert result.success, result.as_text()
