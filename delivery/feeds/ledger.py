"""What each feed has published, and what it publishes next: the half of the protocol that lives in Postgres.

A batch is pinned when it is planned. A raw feed pins loads of files, whose rows never change. An aggregate feed
pins the rows themselves, because a build may change the mart before the batch lands. So a batch has the same
content however often it is written, and a planned batch is always finished before the next one is planned.

This module does not know what a Delta table is: it is told which version the table holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from delivery.feeds.catalogue import LOAD_BATCH, PARTITION, Column, Feed

MAX_BATCH_ROWS = 250_000
"""A longer backlog goes out as several batches, so that memory stays bounded. A file is never split."""

_LOCK_CLASS = 7_205_003  # any fixed number: the advisory locks of feeds
_FETCH_ROWS = 20_000


class FeedWaitsError(RuntimeError):
    """A feed has to wait for the next release; the message says why."""


@dataclass(frozen=True)
class Batch:
    """One batch of one feed, as it stands in `ops.feed_batches`."""

    feed_version: int
    replaces_table: bool
    state: str
    planned_at: datetime


@contextmanager
def one_publisher(connection: psycopg.Connection, feed: Feed) -> Iterator[None]:
    """Hold the feed: of two publishers, the second waits for the first. The lock goes with the connection."""
    arguments = (_LOCK_CLASS, feed.name)
    connection.execute("select pg_advisory_lock(%s, hashtext(%s))", arguments)
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", arguments)


def last_batches(connection: psycopg.Connection, feed: Feed) -> tuple[Batch | None, Batch | None]:
    """The last batch that was recorded as committed, and the planned one; None where there is none."""
    with connection.cursor(row_factory=class_row(Batch)) as cursor:
        batches = cursor.execute(
            "select distinct on (state) feed_version, replaces_table, state, planned_at "
            "from ops.feed_batches where feed = %s and state <> 'lost' order by state, feed_version desc",
            (feed.name,),
        ).fetchall()
    by_state = {batch.state: batch for batch in batches}
    return by_state.get("committed"), by_state.get("planned")


def record_committed(
    connection: psycopg.Connection, feed: Feed, batch: Batch, *, rows: int | None, delta_version: int | None
) -> None:
    """Record that the table holds the batch. Rows and Delta version are for people; None if not known."""
    with connection.transaction():
        _empty_outbox(connection, feed)
        connection.execute(
            "update ops.feed_batches set state = 'committed', committed_at = now(), rows = %s, "
            "delta_version = %s where feed = %s and feed_version = %s",
            (rows, delta_version, feed.name, batch.feed_version),
        )


def forget_lost_table(connection: psycopg.Connection, feed: Feed, reason: str) -> None:
    """Mark every batch as lost, so that the feed is published again from the beginning."""
    with connection.transaction():
        _empty_outbox(connection, feed)
        for table in ("feed_files", "feed_rows"):
            statement = SQL("delete from ops.{} where feed = %s").format(Identifier(table))
            connection.execute(statement, (feed.name,))
        connection.execute(
            "update ops.feed_batches set state = 'lost', lost_because = %s "
            "where feed = %s and state <> 'lost'",
            (reason, feed.name),
        )


def _empty_outbox(connection: psycopg.Connection, feed: Feed) -> None:
    """Let go of the rows of the planned batch."""
    outbox = _outbox(feed)
    if feed.key and connection.execute("select to_regclass(%s)", (outbox.as_string(),)).fetchone() != (None,):
        connection.execute(SQL("truncate {}").format(outbox))


# --- Planning --------------------------------------------------------------------------------


def plan(connection: psycopg.Connection, feed: Feed, build_id: int, above: int) -> Batch | None:
    """Pin what the feed has not published yet as its next batch.

    Args:
        connection: Autocommit connection that holds the feed.
        feed: The feed.
        build_id: Build that passed the release gate: nothing later goes out.
        above: Version that the table already holds; the new one is greater.

    Returns:
        The batch; None if there is nothing to publish.

    Raises:
        FeedWaitsError: A build that has not passed the release gate has already changed rows of the mart.
    """
    planned = None
    with connection.transaction(), connection.cursor(row_factory=class_row(Batch)) as cursor:
        batch = cursor.execute(
            "insert into ops.feed_batches (feed, feed_version, build_id, replaces_table) "
            "select %(feed)s, greatest(coalesce(max(feed_version), 0), %(above)s) + 1, %(build)s, "
            "coalesce(bool_and(state = 'lost'), true) from ops.feed_batches where feed = %(feed)s "
            "returning feed_version, replaces_table, state, planned_at",
            {"feed": feed.name, "above": above, "build": build_id},
        ).fetchone()
        assert batch is not None  # noqa: S101  # an aggregate without grouping always gives a row
        pin = _pin_rows if feed.key else _pin_files
        if pin(connection, feed, batch.feed_version, build_id) == 0:
            raise psycopg.Rollback
        planned = batch
    return planned  # noqa: RET504  # the rollback above ends here too, with None


def _pin_files(connection: psycopg.Connection, feed: Feed, feed_version: int, build_id: int) -> int:
    """Take the files that released builds have taken in and this feed has not, the oldest first.

    A file that is loaded again is taken in by a later build. Then only its loads that are in no batch yet are
    pinned, and they may hold no row.

    Returns:
        How many files were pinned.
    """
    statement = SQL(
        """
        insert into ops.feed_files (feed, file_id, feed_version, load_batches)
        select %(feed)s, file_id, %(version)s, array(
            select {load_batch} from {relation} as there where there.file_id = waiting.file_id
            except
            select unnest(load_batches) from ops.feed_files as done
            where done.feed = %(feed)s and done.file_id = waiting.file_id
        )
        from (
            select
                files.file_id,
                sum(files.rows) over (order by files.file_id) - files.rows as rows_before
            from (select *, rows_before + rows_loaded as rows from ops.files) as files
            inner join ops.build_files as taken using (file_id)
            inner join ops.builds as builds using (build_id)
            where files.interface = %(interface)s and files.rows > 0
                and builds.state = 'succeeded' and builds.build_id <= %(build)s
                and not exists (
                    select from ops.feed_files as done
                    inner join ops.feed_batches as batches using (feed, feed_version)
                    where done.feed = %(feed)s and done.file_id = files.file_id
                        and batches.build_id >= taken.build_id
                )
        ) as waiting
        where rows_before < %(limit)s
        """
    )
    return connection.execute(
        statement.format(load_batch=Identifier(LOAD_BATCH), relation=SQL(feed.relation)),
        {
            "feed": feed.name,
            "version": feed_version,
            "interface": feed.interface,
            "build": build_id,
            "limit": MAX_BATCH_ROWS,
        },
    ).rowcount


def _pin_rows(connection: psycopg.Connection, feed: Feed, feed_version: int, build_id: int) -> int:
    """Copy the rows whose content differs from what was published last, and withdraw those that are gone.

    Only rows that a build wrote since the last complete batch are read, so the cost follows what changed.

    Returns:
        How many rows were pinned.
    """
    names = _names(feed)
    parameters = {"feed": feed.name, "version": feed_version, "build": build_id, "limit": MAX_BATCH_ROWS}
    connection.execute(SQL("create table if not exists {outbox} ({pinned_types})").format(**names))
    pinned = connection.execute(SQL(_PIN_CHANGED).format(**names), parameters).rowcount
    if pinned == MAX_BATCH_ROWS:
        connection.execute(
            "update ops.feed_batches set complete = false "
            "where feed = %(feed)s and feed_version = %(version)s",
            parameters,
        )
    elif connection.execute(SQL(_SOME_ARE_GONE).format(**names), parameters).fetchone() == (True,):
        pinned += connection.execute(SQL(_PIN_GONE).format(**names), parameters).rowcount
    # Asked last: whatever the statements above have seen, this one sees too.
    unreleased = connection.execute(
        SQL("select build_id from {relation} where build_id > %(build)s limit 1").format(**names), parameters
    ).fetchone()
    if unreleased is not None:
        raise FeedWaitsError(
            f"{feed.name} waits: build {unreleased[0]} has changed its rows "
            "and has not passed the release gate yet."
        )
    return pinned


_PIN_CHANGED = """
with candidates as materialized (
    select {casts}, {row_key} as row_key, md5(row({content})::text)::uuid as content_hash
    from {relation}
    where build_id > (
        select coalesce(max(build_id), 0) from ops.feed_batches
        where feed = %(feed)s and state <> 'lost' and complete and feed_version <> %(version)s
    )
),
changed as materialized (
    select candidates.*
    from candidates
    left join ops.feed_rows as published
        on published.feed = %(feed)s and published.row_key = candidates.row_key
    where candidates.content_hash is distinct from published.content_hash
    order by candidates.{partition}, candidates.row_key
    limit %(limit)s
),
outbox as (
    insert into {outbox} ({columns}, is_withdrawn) select {columns}, false from changed
)
insert into ops.feed_rows (feed, row_key, content_hash, feed_version)
select %(feed)s, row_key, content_hash, %(version)s from changed
on conflict (feed, row_key)
    do update set content_hash = excluded.content_hash, feed_version = excluded.feed_version
"""

# Once every change is pinned, each row of the mart has its entry: more entries than rows means some are gone.
_SOME_ARE_GONE = """
select (select count(*) from ops.feed_rows where feed = %(feed)s and content_hash is not null)
    > (select count(*) from {relation})
"""

_PIN_GONE = """
with gone as (
    update ops.feed_rows set content_hash = null, feed_version = %(version)s
    where feed = %(feed)s and content_hash is not null
        and not exists (select from {relation} where {row_key} = row_key)
    returning row_key
)
insert into {outbox} ({key}, build_id, is_withdrawn)
select {key}, %(build)s, true
from gone cross join jsonb_to_record(row_key::jsonb) as record ({key_types})
"""


def _outbox(feed: Feed) -> Identifier:
    """The table of the rows of a planned batch, as they stood when it was planned. Empty while there is none."""
    return Identifier("ops", f"outbox_{feed.model}")


def _names(feed: Feed) -> dict[str, Composable]:
    """What the statements above call the parts of a feed."""
    pairs = SQL(", ").join(SQL("{}, {}").format(Literal(name), Identifier(name)) for name in feed.key)
    return {
        "relation": SQL(feed.relation),
        "outbox": _outbox(feed),
        "partition": Identifier(PARTITION),
        "columns": SQL(", ").join(Identifier(each.name) for each in feed.columns),
        "casts": _casts(feed.columns),
        "content": _casts(each for each in feed.columns if each.name != "build_id"),
        "pinned_types": _typed(feed.pinned_columns),
        "key": SQL(", ").join(map(Identifier, feed.key)),
        "key_types": _typed(each for each in feed.columns if each.name in feed.key),
        "row_key": SQL("jsonb_build_object({})::text").format(pairs),
    }


# --- Reading --------------------------------------------------------------------------------


def hold_still(connection: psycopg.Connection, feed: Feed, batch: Batch) -> None:
    """Let a new transaction see one state of the warehouse, which has the whole batch in it.

    Raises:
        FeedWaitsError: A file of the batch was loaded again, and its rows are seen again only after the next build.
    """
    connection.execute("set transaction isolation level repeatable read")
    away = connection.execute(
        "select files.name from ops.feed_files as pinned inner join ops.files as files using (file_id) "
        "where pinned.feed = %s and pinned.feed_version = %s and not exists ("
        "select from ops.build_files as taken where taken.file_id = pinned.file_id) limit 1",
        (feed.name, batch.feed_version),
    ).fetchone()
    if away is not None:
        raise FeedWaitsError(
            f"{feed.name} waits for the next build, which takes in {away[0]}: it was loaded again."
        )


def read_rows(connection: psycopg.Connection, feed: Feed, batch: Batch) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a planned batch, in the feed's order and columns, in chunks. Needs a transaction."""
    source: Composable = _outbox(feed)
    if not feed.key:
        source = SQL(
            "{} where file_id = any(array("
            "select file_id from ops.feed_files where feed = %(feed)s and feed_version = %(version)s)) "
            "and (file_id, {}) in (select file_id, unnest(load_batches) "
            "from ops.feed_files where feed = %(feed)s and feed_version = %(version)s)"
        ).format(SQL(feed.relation), Identifier(LOAD_BATCH))
    statement = SQL("select {}, %(version)s::bigint, %(planned_at)s::timestamptz from {} order by {}").format(
        _casts(feed.pinned_columns), source, SQL(", ").join(map(Identifier, feed.order_by))
    )
    parameters = {"feed": feed.name, "version": batch.feed_version, "planned_at": batch.planned_at}
    with connection.cursor(name="feed", binary=True) as cursor:
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(_FETCH_ROWS):
            yield rows


def _casts(columns: Iterable[Column]) -> Composed:
    """Select list that gives each column exactly the type that the feed declares."""
    return SQL(", ").join(SQL("{}::{}").format(Identifier(each.name), SQL(each.kind)) for each in columns)


def _typed(columns: Iterable[Column]) -> Composed:
    """The same columns with their types, as a table declares them."""
    return SQL(", ").join(SQL("{} {}").format(Identifier(each.name), SQL(each.kind)) for each in columns)
