"""What reaches the Delta tables in ordinary life: new files, restated figures, nothing if nothing changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from delivery.feeds import ledger
from delivery.feeds.catalogue import ANNEX_B_CALLS, CALL_LEGS, CALLS, FEEDS
from delivery.feeds.publish import PublishedFeed, _Publisher, publish
from delivery.feeds.release import ReleaseRefusedError
from infra.s3 import s3_client
from tests.fixtures.feed_world import World, world

__all__ = ["world"]
pytestmark = pytest.mark.services


def quietly(world: World) -> dict[str, PublishedFeed]:
    return {feed.feed: feed for feed in publish(world.settings, report=lambda line: None)}


def test_a_release_publishes_every_feed_and_the_next_one_only_what_is_new(world: World) -> None:
    world.file(5)
    world.figure(world.release(), "PAL", 5)
    first = quietly(world)
    assert {name: feed.rows for name, feed in first.items()} == {
        "raw/calls": 5,
        "raw/call_legs": 3,
        "aggregate/annex_b_calls": 1,
    }

    file_id = world.file(2, day=date(2026, 3, 29))
    world.release()
    second = quietly(world)
    assert (second["raw/calls"].rows, second["aggregate/annex_b_calls"].rows) == (2, 0)
    rows = world.rows(CALLS)
    assert len(rows) == 7
    assert {row["file_id"] for row in rows if row["feed_version"] == 2} == {file_id}
    assert "2 rows in 1 batch" in second["raw/calls"].as_text()

    before = {feed.name: world.table(feed).version() for feed in FEEDS}
    third = quietly(world)
    assert all(feed.batches == 0 and "nothing new" in feed.as_text() for feed in third.values())
    assert {feed.name: world.table(feed).version() for feed in FEEDS} == before


def test_values_arrive_exactly(world: World) -> None:
    world.file(2)
    world.figure(world.release(), "PAL", 2)
    quietly(world)
    call = next(row for row in world.rows(CALLS) if row["line_number"] == 2)
    assert call["received_at"] == datetime(2026, 3, 28, 9, 0, 1, 1, tzinfo=UTC)
    assert call["ivr_path"] == '["croeso \\ud83c\\udff4 \\u0175", "a \\"b\\"\\n,c"]'
    assert call["ended_at"] is None
    leg = world.rows(CALL_LEGS)[0]
    assert leg["hold_seconds"] == Decimal("1.000001")
    figure = world.rows(ANNEX_B_CALLS)[0]
    assert figure["gos_30"] == Decimal("0.333333333")
    assert figure["wait_avg_seconds"] == Decimal("12.345679")
    assert figure["is_withdrawn"] is False
    planned = world.execute("select planned_at from ops.feed_batches where feed = %s", ANNEX_B_CALLS.name)[0][
        0
    ]
    assert figure["published_at"] == planned


def test_duckdb_and_pandas_read_the_same_rows(world: World) -> None:
    world.file(40)
    world.figure(world.release(), "PAL", 40)
    quietly(world)
    for feed in FEEDS:
        table = world.table(feed)
        dataset = table.to_pyarrow_dataset()
        in_duckdb = duckdb.connect()
        in_duckdb.register("feed", dataset)
        through_duckdb = in_duckdb.sql("from feed order by all").fetchall()
        frame = table.to_pandas()
        assert len(through_duckdb) == len(frame) == len(world.rows(feed)) > 0
        assert list(frame.columns) == in_duckdb.sql("from feed").columns == [f.name for f in feed.schema]
        key = "call_id" if not feed.key else "line_of_business"
        assert sorted(frame[key]) == sorted(row[frame.columns.get_loc(key)] for row in through_duckdb)


def test_a_figure_is_published_again_only_when_it_changes(world: World) -> None:
    build_id = world.release()
    world.figure(build_id, "PAL", 5)
    world.figure(build_id, "ABI", 7)
    quietly(world)

    again = world.release(full_refresh=True)
    world.figure(again, "PAL", 5)
    world.figure(again, "ABI", 7)
    assert quietly(world)[ANNEX_B_CALLS.name].batches == 0, (
        "a full refresh that changes nothing publishes nothing"
    )

    world.figure(world.release(), "ABI", 8)
    assert quietly(world)[ANNEX_B_CALLS.name].rows == 1
    versions = sorted(
        (row["line_of_business"], row["feed_version"], row["calls_received"])
        for row in world.rows(ANNEX_B_CALLS)
    )
    assert versions == [("ABI", 1, 7), ("ABI", 2, 8), ("PAL", 1, 5)]


def test_a_figure_that_is_gone_is_withdrawn_and_may_come_back(world: World) -> None:
    build_id = world.release()
    world.figure(build_id, "PAL", 5)
    world.figure(build_id, "ABI", 7)
    quietly(world)

    world.release(full_refresh=True)
    world.execute("delete from feeds.feed_annex_b_calls_v1 where line_of_business = 'ABI'")
    assert quietly(world)[ANNEX_B_CALLS.name].rows == 1
    last = max(world.rows(ANNEX_B_CALLS), key=lambda row: row["feed_version"])
    assert (last["line_of_business"], last["is_withdrawn"], last["calls_received"]) == ("ABI", True, None)
    assert last["local_date"] == date(2026, 3, 28)
    assert quietly(world)[ANNEX_B_CALLS.name].rows == 0

    world.figure(world.release(), "ABI", 7)
    assert quietly(world)[ANNEX_B_CALLS.name].rows == 1


def test_a_backlog_goes_out_in_batches_of_whole_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_BATCH_ROWS", 5)
    for calls in (3, 3, 9, 1, 0):
        world.file(calls)
    build_id = world.release()
    for number in range(12):
        world.figure(build_id, "PAL", number, day=date(2026, 3, 1) + timedelta(days=number))
    published = quietly(world)
    assert world.batches(CALLS) == [(1, "committed", 6), (2, "committed", 9), (3, "committed", 1)]
    assert world.batches(ANNEX_B_CALLS) == [(1, "committed", 5), (2, "committed", 5), (3, "committed", 2)]
    assert published["raw/calls"].rows == len(world.rows(CALLS)) == 16
    assert {row["calls_received"] for row in world.rows(ANNEX_B_CALLS)} == set(range(12))
    assert quietly(world)["raw/calls"].batches == 0


def test_a_file_that_is_loaded_again_brings_only_what_is_new(world: World) -> None:
    first, second = world.file(4), world.file(2)
    world.release()
    assert quietly(world)["raw/calls"].rows == 6
    world.load_again(first, 3)
    world.load_again(first, 2)
    assert quietly(world)["raw/calls"].batches == 0, "No build has taken it in since."
    world.release()
    assert (quietly(world)["raw/calls"].rows, len(world.rows(CALL_LEGS))) == (5, 6)
    assert [row["file_id"] for row in world.rows(CALLS) if row["feed_version"] == 2] == [first] * 5
    world.load_again(second, 0)
    world.release()
    assert quietly(world)["raw/calls"].rows == 0, "It brought nothing."
    assert quietly(world)["raw/calls"].batches == 0
    assert len(world.rows(CALLS)) == len({row["record_hash"] for row in world.rows(CALLS)}) == 11


def test_a_planned_batch_waits_for_a_file_that_is_loaded_again_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are out of sight until a build has taken it in again: without them the batch would not be whole."""
    monkeypatch.setattr("delivery.feeds.publish.FEEDS", (CALLS,))
    file_id = world.file(4)
    world.release()
    with monkeypatch.context() as patched:
        patched.setattr(_Publisher, "bring", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            quietly(world)
    world.load_again(file_id, 1)
    (name,) = world.file_names
    waiting = quietly(world)["raw/calls"]
    assert (waiting.batches, waiting.waiting) == (
        0,
        f"raw/calls waits for the next build, which takes in {name}: it was loaded again.",
    )
    assert world.batches(CALLS) == [(1, "planned", None)]
    world.release()
    assert quietly(world)["raw/calls"].rows == 5
    assert world.batches(CALLS) == [(1, "committed", 4), (2, "committed", 1)]


def test_files_are_partitioned_by_local_date_one_each_per_batch(world: World) -> None:
    world.file(30, day=date(2026, 3, 27))
    world.file(30, day=date(2026, 3, 28))
    world.file(30, day=date(2026, 3, 27))
    world.release()
    quietly(world)
    files = [uri.rsplit("/", 2)[1] for uri in world.table(CALLS).file_uris()]
    assert sorted(files) == ["local_date=2026-03-27", "local_date=2026-03-28"]


def test_many_batches_are_read_from_a_checkpoint(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.feeds.publish.FEEDS", (CALLS,))
    for number in range(22):
        world.file(1)
        world.release()
        assert quietly(world)["raw/calls"].feed_version == number + 1
    objects = s3_client(world.settings).list_objects_v2(
        Bucket=world.settings.s3_bucket, Prefix="raw/calls/_delta_log/"
    )
    assert any("checkpoint" in each["Key"] for each in objects["Contents"])
    assert len(world.rows(CALLS)) == 22


def test_the_outbox_is_empty_once_everything_is_out(world: World) -> None:
    world.figure(world.release(), "PAL", 1)
    quietly(world)
    assert world.execute("select count(*) from ops.outbox_feed_annex_b_calls_v1") == [(0,)]
    assert world.execute("select count(*) from ops.feed_rows") == [(1,)]


def test_nothing_is_published_without_a_passed_gate(world: World) -> None:
    world.file(3)
    with pytest.raises(ReleaseRefusedError, match="no build has succeeded yet"):
        quietly(world)
    build_id = world.build()
    with pytest.raises(ReleaseRefusedError, match=f"build {build_id} has not been through the release gate"):
        quietly(world)
    world.gate(build_id, success=False, message="Line PAL does not add up.")
    with pytest.raises(ReleaseRefusedError, match=r"Line PAL does not add up\..* Put the cause right"):
        quietly(world)
    assert world.batches(CALLS) == []
    world.gate(build_id)
    assert quietly(world)["raw/calls"].rows == 3
    world.gate(build_id, success=False, message="Failed when checked again.")
    with pytest.raises(ReleaseRefusedError, match="checked again"):
        quietly(world)


def test_what_an_unreleased_build_changed_waits(world: World) -> None:
    released = world.release()
    world.figure(released, "PAL", 1)
    world.file(2)
    running = world.build(state="running")
    world.figure(running, "ABI", 9)
    published = quietly(world)
    assert published["aggregate/annex_b_calls"].batches == 0
    assert f"build {running} has changed its rows" in published["aggregate/annex_b_calls"].as_text()
    assert published["raw/calls"].rows == 0, "the file was taken in by a build that has not succeeded"

    world.execute("update ops.builds set state = 'succeeded' where build_id = %s", running)
    world.gate(running)
    published = quietly(world)
    assert (published["aggregate/annex_b_calls"].rows, published["raw/calls"].rows) == (2, 2)
