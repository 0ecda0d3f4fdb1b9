"""Publish the feeds: exactly once, whatever is killed, lost or started twice.

A batch is planned in Postgres, committed to the Delta table under a transaction id (the feed's name and the
batch's version), and recorded in Postgres. The Delta commit is one conditional PUT, and Delta refuses it if
another commit of the same feed came between. So after a crash, a lost answer or an error, the table itself
says whether the batch landed; nothing is ever deleted to find out.

If a table no longer holds what was committed (an embedded S3 that was restarted, a bucket restored from a
backup), the feed is published again from the beginning, and the first batch replaces whatever the table
holds.

This module decides no figure and changes no mart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError

from delivery.feeds import ledger
from delivery.feeds.catalogue import FEEDS, PARTITION, Feed
from delivery.feeds.release import released_build
from infra.postgres import connect
from infra.s3 import check_bucket, s3_storage_options
from infra.settings import Settings

Report = Callable[[str], object]


class PublishError(RuntimeError):
    """A batch did not reach its table. It stays planned; the next publish finishes it."""


@dataclass(frozen=True)
class PublishedFeed:
    """What one run published of one feed.

    Attributes:
        feed: Name of the feed.
        address: Address of its Delta table.
        batches: Batches that this run committed, or found committed by a run that was cut off.
        rows: Rows in them.
        feed_version: Version of the last batch that the table holds; None while it holds none.
        waiting: Why the feed has to wait for the next release; empty if it does not.
    """

    feed: str
    address: str
    batches: int
    rows: int
    feed_version: int | None
    waiting: str = ""

    def as_text(self) -> str:
        """One sentence for people."""
        if self.waiting:
            return self.waiting
        if self.feed_version is None:
            return f"{self.feed}: nothing to publish yet."
        if not self.batches:
            return f"{self.feed}: nothing new; version {self.feed_version} stands at {self.address}."
        batches = "1 batch" if self.batches == 1 else f"{self.batches} batches"
        return (
            f"{self.feed}: {self.rows:,} rows in {batches}; version {self.feed_version} is at {self.address}."
        )


def publish(settings: Settings, report: Report = print) -> list[PublishedFeed]:
    """Publish what every feed has not published yet.

    Args:
        settings: The instance.
        report: Is told each step after it is done.

    Returns:
        One entry per feed, in the order of the catalogue.

    Raises:
        ReleaseRefusedError: The last build has not passed the release gate.
        PublishError: A batch did not reach S3. Nothing is lost: run it again.
        infra.s3.S3Error: The bucket is not there for us, or lies outside the United Kingdom.
    """
    check_bucket(settings)
    with connect(settings, autocommit=True) as connection:
        build_id = released_build(connection)
        return [_Publisher(connection, settings, feed, report).run(build_id) for feed in FEEDS]


class _Publisher:
    """One run over one feed."""

    def __init__(
        self, connection: psycopg.Connection, settings: Settings, feed: Feed, report: Report
    ) -> None:
        self.connection = connection
        self.feed = feed
        self.report = report
        self.address = f"s3://{settings.s3_bucket}/{feed.name}"
        self.storage_options = s3_storage_options(settings)

    def run(self, build_id: int) -> PublishedFeed:
        batches = rows = 0
        waiting = ""
        with ledger.one_publisher(self.connection, self.feed):
            table = self.open_table()
            self.notice_loss(table)
            try:
                while (batch := self.next_batch(table, build_id)) is not None:
                    table = self.bring(batch, table)
                    rows += self.record(batch, table)
                    batches += 1
            except ledger.FeedWaitsError as error:
                waiting = str(error)
        return PublishedFeed(self.feed.name, self.address, batches, rows, self.version_in(table), waiting)

    def open_table(self) -> DeltaTable | None:
        try:
            return DeltaTable(self.address, storage_options=self.storage_options)
        except TableNotFoundError:
            return None

    def version_in(self, table: DeltaTable | None) -> int | None:
        """Version of the last batch that the table holds."""
        return table.transaction_version(self.feed.name) if table is not None else None

    def notice_loss(self, table: DeltaTable | None) -> None:
        """Start from the beginning if the table is not the one that the ledger knows."""
        landed = self.version_in(table)
        committed, planned = ledger.last_batches(self.connection, self.feed)
        if planned is not None and landed == planned.feed_version:
            return
        if committed is not None:
            known = landed == committed.feed_version
        else:  # what a planned first batch is to replace is older than the batch
            known = planned is None or (landed or 0) < planned.feed_version
        if not known:
            state = "is gone" if table is None else f"stands at version {landed or 0}"
            expected = committed.feed_version if committed is not None else 0
            reason = f"the table {state}, not at version {expected}"
            ledger.forget_lost_table(self.connection, self.feed, reason)
            self.report(f"{self.feed.name}: {reason}. Publishing everything again.")

    def next_batch(self, table: DeltaTable | None, build_id: int) -> ledger.Batch | None:
        """The batch that a run left planned, or else a new one."""
        _, planned = ledger.last_batches(self.connection, self.feed)
        if planned is not None:
            self.report(f"{self.feed.name}: finishing batch {planned.feed_version}")
            return planned
        batch = ledger.plan(self.connection, self.feed, build_id, above=self.version_in(table) or 0)
        if batch is not None:
            self.report(f"{self.feed.name}: planned batch {batch.feed_version}")
        return batch

    def bring(self, batch: ledger.Batch, table: DeltaTable | None) -> DeltaTable:
        """Commit the batch to the table unless it is there; return the table that holds it."""
        if table is not None and self.version_in(table) == batch.feed_version:
            return table
        try:
            table = table or self.create_table()
            self.write(batch, table)
        except ledger.FeedWaitsError:
            raise
        except Exception as error:  # whatever it was, only the table knows whether the commit landed
            table = self.open_table()
            if table is None or self.version_in(table) != batch.feed_version:
                raise PublishError(
                    f"{self.feed.name}: batch {batch.feed_version} did not reach {self.address}: {error}. "
                    "It stays planned; run `contactbi publish` again."
                ) from error
        self.report(f"{self.feed.name}: batch {batch.feed_version} is in the table")
        return table

    def create_table(self) -> DeltaTable:
        return DeltaTable.create(
            self.address,
            schema=self.feed.schema,
            partition_by=[PARTITION],
            mode="ignore",
            description=self.feed.meaning,
            configuration={"delta.checkpointInterval": "20"},  # small batches: readers replay a short log
            storage_options=self.storage_options,
        )

    def write(self, batch: ledger.Batch, table: DeltaTable) -> None:
        """Stream the batch into new files and commit them in one step.

        `table` is the snapshot in which the batch was missing: Delta refuses the commit if one of this feed
        came since.
        """
        with self.connection.transaction():
            ledger.hold_still(self.connection, self.feed, batch)
            write_deltalake(
                table,
                pa.RecordBatchReader.from_batches(self.feed.schema, self.record_batches(batch)),
                mode="overwrite" if batch.replaces_table else "append",
                writer_properties=WriterProperties(compression="ZSTD"),
                commit_properties=CommitProperties(
                    custom_metadata={"feed_version": str(batch.feed_version)},
                    app_transactions=[Transaction(self.feed.name, batch.feed_version)],
                ),
            )

    def record_batches(self, batch: ledger.Batch) -> Iterator[pa.RecordBatch]:
        schema = self.feed.schema
        for rows in ledger.read_rows(self.connection, self.feed, batch):
            columns = zip(schema.types, zip(*rows, strict=True), strict=True)
            yield pa.record_batch([pa.array(values, kind) for kind, values in columns], schema=schema)

    def record(self, batch: ledger.Batch, table: DeltaTable) -> int:
        """Record that the batch landed, with what the table's own history says of it; return its rows."""
        (last,) = table.history(1)
        is_it = last.get("feed_version") == str(
            batch.feed_version
        )  # else somebody has tidied the table since
        rows = last["operationMetrics"]["num_added_rows"] if is_it else None
        delta_version = last["version"] if is_it else None
        ledger.record_committed(self.connection, self.feed, batch, rows=rows, delta_version=delta_version)
        self.report(f"{self.feed.name}: batch {batch.feed_version} is recorded")
        return rows or 0
