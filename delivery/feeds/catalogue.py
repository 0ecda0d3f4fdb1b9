"""The feeds that leave the warehouse, declared once.

The columns of a feed, their types and what they mean stand in the contract of its dbt model, which dbt
enforces on the view; they are read from there, so that view, Delta table and documentation cannot disagree. A
published version never changes: another shape is another view and another feed. This module touches neither
warehouse nor S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import pyarrow as pa
import yaml

from infra.settings import CHECKOUT

CONTRACTS = CHECKOUT / "dbt" / "models" / "feeds" / "_feeds__models.yml"

PARTITION = "local_date"
"""Every feed is partitioned by the local date (Europe/London) that its row belongs to."""

LOAD_BATCH = "load_batch_id"
"""Column of the view of a raw feed that stays here: the load that brought the row (`_batch_id` in raw)."""

_SECONDS = "numeric(18,6)"  # exact to the microsecond
_RATE = "numeric(18,9)"  # between 0 and 1

_ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
    _SECONDS: pa.decimal128(18, 6),
    _RATE: pa.decimal128(18, 9),
}


@dataclass(frozen=True)
class Column:
    """One published column: its name, the Postgres type that it is cast to, and what it means."""

    name: str
    kind: str
    meaning: str


IS_WITHDRAWN = Column(
    "is_withdrawn",
    "boolean",
    "True: the warehouse no longer has a row of this key; its figures are null. Aggregate feeds only.",
)
VERSION_COLUMNS = (
    Column("feed_version", "bigint", "Batch that brought the row. Grows from batch to batch, with gaps."),
    Column("published_at", "timestamptz", "When that batch was planned (UTC)."),
)


@dataclass(frozen=True)
class Feed:
    """One feed.

    Attributes:
        name: Path of its Delta table in the bucket, and its transaction id there.
        model: dbt model, a view in the schema `feeds`, whose contract gives the columns.
        order_by: Columns that put the rows of a batch in one definite order.
        interface: A raw feed publishes each row of the files of this interface once. Empty for an aggregate feed.
        key: An aggregate feed publishes a row of this identity again when its content changes. Empty for a
            raw feed.
    """

    name: str
    model: str
    order_by: tuple[str, ...]
    interface: str = ""
    key: tuple[str, ...] = ()

    @cached_property
    def relation(self) -> str:
        """The view, with its schema."""
        return f"feeds.{self.model}"

    @cached_property
    def meaning(self) -> str:
        """What one row is."""
        return " ".join(str(_contracts()[self.model]["description"]).split())

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the view that are published, in order."""
        return tuple(
            Column(each["name"], _published_type(each["name"], each["data_type"]), each["description"])
            for each in _contracts()[self.model]["columns"]
            if each["name"] != LOAD_BATCH
        )

    @cached_property
    def pinned_columns(self) -> tuple[Column, ...]:
        """What a batch holds of a row: the published columns, and whether the row was withdrawn."""
        return (*self.columns, IS_WITHDRAWN) if self.key else self.columns

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the Delta table, each with its meaning as a comment."""
        return pa.schema(
            [
                pa.field(each.name, _ARROW_TYPES[each.kind], metadata={"comment": each.meaning})
                for each in (*self.pinned_columns, *VERSION_COLUMNS)
            ]
        )


def _published_type(name: str, kind: str) -> str:
    """The same type with a fixed scale for decimals, which Delta needs."""
    if kind != "numeric":
        return kind
    return _RATE if name.endswith("_rate") or name.startswith("gos_") else _SECONDS


@cache
def _contracts() -> dict[str, dict[str, Any]]:
    models = yaml.safe_load(CONTRACTS.read_text(encoding="utf-8"))["models"]
    return {model["name"]: model for model in models}


CALLS = Feed(
    name="raw/calls",
    model="feed_calls_v1",
    order_by=("local_date", "file_id", "line_number"),
    interface="telephony_call",
)
CALL_LEGS = Feed(
    name="raw/call_legs",
    model="feed_call_legs_v1",
    order_by=("local_date", "file_id", "call_id", "record_version", "record_hash", "leg_no"),
    interface="telephony_call",
)
ANNEX_B_CALLS = Feed(
    name="aggregate/annex_b_calls",
    model="feed_annex_b_calls_v1",
    order_by=("local_date", "grain", "period_start", "line_of_business"),
    key=("grain", "period_start", "line_of_business", "local_date"),
)

FEEDS = (CALLS, CALL_LEGS, ANNEX_B_CALLS)
