"""No row lost and none doubled, whatever happens to a publisher between any two steps of its work."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess

import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from delivery.feeds import ledger
from delivery.feeds.catalogue import ANNEX_B_CALLS, CALL_LEGS, CALLS, FEEDS, LOAD_BATCH
from delivery.feeds.publish import PublishError, publish
from infra.postgres import connect
from infra.s3 import s3_client, s3_endpoint
from infra.settings import Settings
from tests.fixtures.feed_world import World, world
from tests.fixtures.publisher import run_publisher
from tests.fixtures.s3_proxy import Proxy, s3_proxy

__all__ = ["world"]
pytestmark = pytest.mark.services

STEPS = 3 * len(FEEDS)
"""Lines that a publisher reports when every feed has one batch: planned, in the table, recorded."""

WRITES = 2 * len(FEEDS)
"""Writes to tables that are there when every feed has one batch: a file and a commit."""

LIKE_THE_FIRST = 1
"""The second feed is a raw feed as the first is: the long tests take the first, and the third, which is not."""


def moments(count: int) -> list[int]:
    """The numbers of so many steps, or writes, of all feeds without those of the feed that is like the first."""
    each = count // len(FEEDS)
    return [number for number in range(count) if number // each != LIKE_THE_FIRST]


PUBLISH_ERROR = 3
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.fixtures.publisher"])


def start_publisher(settings: Settings, *, killed_after: int = 0) -> ForkServerProcess:
    """A publisher in a process of its own, which kills itself after so many steps; 0: never."""
    process = _forks.Process(target=run_publisher, args=(settings, killed_after, PUBLISH_ERROR))
    process.start()
    return process


def outcome(process: ForkServerProcess) -> int | None:
    """How a publisher ended; None if it hangs."""
    process.join(100)
    return process.exitcode


def quietly(world: World, settings: Settings | None = None) -> None:
    publish(settings or world.settings, report=lambda line: None)


def arrive(world: World, number: int) -> None:
    """What one more round of work brings: a file, a row of a file before, a new figure, and a restated one."""
    world.file(3 + number % 3)
    world.load_again(number // 2 + 1, 1)
    build_id = world.release()
    world.figure(build_id, "PAL", 100 + number)
    world.figure(build_id, "ABI", 7)


def assert_exactly_once(world: World, rounds: int) -> None:
    """Every row that there is was published once, each figure once per content, and the ledger agrees."""
    for feed in (CALLS, CALL_LEGS):
        rows = world.execute(f"select record_hash, file_id, {LOAD_BATCH} from {feed.relation}")
        load_of = {record_hash: (file_id, load) for record_hash, file_id, load in rows}
        published = world.rows(feed)
        assert len(rows) > 0
        assert Counter(row["record_hash"] for row in published) == Counter(row[0] for row in rows)
        by_load = {(load_of[row["record_hash"]], row["feed_version"]) for row in published}
        assert len(by_load) == len({load for load, _ in by_load}), "a load lies in one batch"
    figures = Counter((row["line_of_business"], row["calls_received"]) for row in world.rows(ANNEX_B_CALLS))
    assert figures == Counter([("PAL", 100 + number) for number in range(rounds)] + [("ABI", 7)])
    for feed in FEEDS:
        last = world.batches(feed)[-1]
        assert last[1] == "committed"
        assert last[0] == world.table(feed).transaction_version(feed.name)
        assert all(state != "planned" for _, state, _ in world.batches(feed))
    assert world.execute("select count(*) from ops.outbox_feed_annex_b_calls_v1") == [(0,)]


def test_killed_after_any_step(world: World) -> None:
    for done, number in enumerate(moments(STEPS)):
        arrive(world, done)
        killed = start_publisher(world.settings, killed_after=number + 1)
        assert outcome(killed) == -signal.SIGKILL
        quietly(world)
        assert_exactly_once(world, rounds=done + 1)


def test_a_mart_that_changes_after_the_kill_does_not_change_the_batch(world: World) -> None:
    arrive(world, 0)
    killed = start_publisher(
        world.settings, killed_after=STEPS - 2
    )  # the aggregate batch is planned, not written
    assert outcome(killed) == -signal.SIGKILL
    assert world.batches(ANNEX_B_CALLS) == [(1, "planned", None)]
    arrive(world, 1)
    quietly(world)
    assert_exactly_once(world, rounds=2)
    contents = {(row["feed_version"], row["calls_received"]) for row in world.rows(ANNEX_B_CALLS)}
    assert contents == {(1, 100), (1, 7), (2, 101)}


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with s3_proxy(s3_endpoint(world.settings).url) as proxy:
        yield proxy


def through(world: World, proxy: Proxy) -> Settings:
    """The settings of the world, with the proxy before S3."""
    return world.settings.model_copy(update={"s3_endpoint_url": proxy.url})


@pytest.fixture
def two_rounds(world: World, proxy: Proxy) -> None:
    """Make the tables, and see that a round then writes what we think it does."""
    arrive(world, 0)
    quietly(world)
    assert_exactly_once(world, rounds=1)
    arrive(world, 1)
    assert outcome(start_publisher(through(world, proxy))) == 0
    assert len(proxy.puts) == WRITES


@pytest.mark.usefixtures("two_rounds")
@pytest.mark.parametrize("fault", ["drop the answer", "refuse"])
def test_one_write_goes_wrong(world: World, proxy: Proxy, fault: str) -> None:
    for done, number in enumerate(moments(WRITES), start=2):
        arrive(world, done)
        proxy.arm(("500", "503")[number % 2] if fault == "refuse" else fault, at=number)
        assert outcome(start_publisher(through(world, proxy))) in (0, PUBLISH_ERROR)
        assert len(proxy.puts) > number, "the write that goes wrong was reached"
        proxy.arm(None)
        quietly(world)
        assert_exactly_once(world, rounds=done + 1)


@pytest.mark.usefixtures("two_rounds")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_a_write(world: World, proxy: Proxy, moment: str) -> None:
    for done, number in enumerate(moments(WRITES), start=2):
        arrive(world, done)
        publishers: queue.Queue[ForkServerProcess] = queue.Queue()

        def kill(publishers: queue.Queue[ForkServerProcess] = publishers) -> None:
            publishers.get(timeout=30).kill()

        proxy.arm(moment, at=number, on_fault=kill)
        publisher = start_publisher(through(world, proxy))
        publishers.put(publisher)
        assert outcome(publisher) == -signal.SIGKILL
        proxy.arm(None)
        quietly(world)
        assert_exactly_once(world, rounds=done + 1)


def test_the_first_answers_ever_are_lost(world: World, proxy: Proxy) -> None:
    """The very first writes make the tables; the answer to each is lost in turn."""
    arrive(world, 0)
    for number in range(3):
        proxy.arm("drop the answer", at=number)
        assert outcome(start_publisher(through(world, proxy))) in (0, PUBLISH_ERROR)
    quietly(world)
    assert_exactly_once(world, rounds=1)


def test_publishers_started_together(world: World) -> None:
    for number in range(2):
        arrive(world, number)
        together = [start_publisher(world.settings) for _ in range(3)]
        for publisher in together:
            assert outcome(publisher) == 0
        assert_exactly_once(world, rounds=number + 1)
    assert [batch[0] for batch in world.batches(CALLS)] == [1, 2]


def test_a_publisher_that_lost_its_lock_cannot_commit_late(world: World) -> None:
    """It looked at the table, then slept; another finished its batch; waking up, its commit is refused."""
    arrive(world, 0)
    quietly(world)
    sleeper_sees = world.table(CALLS)
    arrive(world, 1)
    quietly(world)
    batch = world.table(CALLS).to_pyarrow_table().slice(0, 1)
    properties = CommitProperties(app_transactions=[Transaction(CALLS.name, 2)])
    with pytest.raises(Exception, match="Concurrent transaction"):
        write_deltalake(sleeper_sees, batch, mode="append", commit_properties=properties)
    assert_exactly_once(world, rounds=2)


def test_the_backend_is_terminated_while_rows_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(world, 0)
    read_rows = ledger.read_rows

    def cut_off(connection, feed, batch):  # type: ignore[no-untyped-def]
        yield from read_rows(connection, feed, batch)
        with connect(world.settings, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
        connection.execute("select 1")

    monkeypatch.setattr(ledger, "read_rows", cut_off)
    with pytest.raises(PublishError):
        quietly(world)
    monkeypatch.undo()
    quietly(world)
    assert_exactly_once(world, rounds=1)


def delete_table(world: World, name: str) -> None:
    client = s3_client(world.settings)
    listed = client.list_objects_v2(Bucket=world.settings.s3_bucket, Prefix=f"{name}/")["Contents"]
    assert listed
    for item in listed:
        client.delete_object(Bucket=world.settings.s3_bucket, Key=item["Key"])


def test_a_table_that_is_gone_is_published_again_whole(world: World) -> None:
    for number in range(2):
        arrive(world, number)
        quietly(world)
    delete_table(world, CALLS.name)
    said: list[str] = []
    publish(world.settings, report=said.append)
    assert any("raw/calls: the table is gone" in line for line in said)
    assert_exactly_once(world, rounds=2)
    assert world.batches(CALLS)[-1][:2] == (3, "committed")
    assert {row["feed_version"] for row in world.rows(CALLS)} == {3}
    quietly(world)
    assert len(world.batches(CALLS)) == 3


def test_a_table_that_fell_behind_is_replaced(world: World) -> None:
    arrive(world, 0)
    quietly(world)
    client = s3_client(world.settings)
    arrive(world, 1)
    quietly(world)
    log = f"{CALLS.name}/_delta_log/{world.table(CALLS).version():020}.json"
    client.delete_object(Bucket=world.settings.s3_bucket, Key=log)
    assert world.table(CALLS).transaction_version(CALLS.name) == 1
    arrive(world, 2)
    quietly(world)
    assert_exactly_once(world, rounds=3)
    assert {row["feed_version"] for row in world.rows(CALLS)} == {3}


def test_a_ledger_restored_from_a_backup_does_not_take_the_tables_batches_for_its_own(world: World) -> None:
    arrive(world, 0)
    quietly(world)
    saved = "create table ops.saved_{0} as select * from ops.{0}"
    for table in ("feed_batches", "feed_files", "feed_rows"):
        world.execute(saved.format(table))
    arrive(world, 1)
    quietly(world)
    for table in ("feed_rows", "feed_files", "feed_batches"):
        world.execute(f"delete from ops.{table}")
    for table in ("feed_batches", "feed_files", "feed_rows"):
        world.execute(f"insert into ops.{table} select * from ops.saved_{table}")
    arrive(world, 2)
    quietly(world)
    for feed in (CALLS, CALL_LEGS):
        there = Counter(row[0] for row in world.execute(f"select record_hash from {feed.relation}"))
        assert Counter(row["record_hash"] for row in world.rows(feed)) == there
    figures = {(row["line_of_business"], row["calls_received"]) for row in world.rows(ANNEX_B_CALLS)}
    assert figures == {("PAL", 102), ("ABI", 7)}


def test_a_new_warehouse_replaces_what_an_old_one_left(world: World) -> None:
    arrive(world, 0)
    quietly(world)
    for table in ("feed_rows", "feed_files", "feed_batches"):
        world.execute(f"delete from ops.{table}")
    quietly(world)
    assert_exactly_once(world, rounds=1)
    assert [batch[0] for batch in world.batches(CALLS)] == [2]


def test_a_reader_sees_whole_batches_only(world: World) -> None:
    """While batches are published, every look at the table shows whole files."""
    sizes = {world.file(4): 4}
    world.release()
    quietly(world)
    address, done, looks = f"s3://{world.settings.s3_bucket}/{CALLS.name}", threading.Event(), []

    def look() -> None:
        options = world.table(CALLS)._storage_options
        while not done.is_set():
            table = DeltaTable(address, storage_options=options).to_pyarrow_table(columns=["file_id"])
            looks.append(Counter(table.column("file_id").to_pylist()))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(4):
            sizes[world.file(5 + number)] = 5 + number
            world.release()
            quietly(world)
    finally:
        done.set()
        reader.join()
    assert len(looks) > 1
    assert all(count == sizes[file_id] for seen in looks for file_id, count in seen.items())
