"""The feeds as they are declared: what readers were promised, in docs/feeds.md, is what the contracts say."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from delivery.feeds.catalogue import FEEDS, PARTITION, VERSION_COLUMNS, Feed
from infra.settings import CHECKOUT

DOCUMENT = (CHECKOUT / "docs" / "feeds.md").read_text(encoding="utf-8")


def documented_columns(feed: Feed) -> list[tuple[str, str]]:
    """(column, type) of the table under the feed's heading."""
    section = re.search(rf"^### `{re.escape(feed.name)}`$(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/feeds.md has no section of {feed.name}"
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section[1], re.MULTILINE)
    assert rows
    return [(name, kind.strip()) for name, kind in rows]


def shown(kind: pa.DataType) -> str:
    """A type in the words of the documentation."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    names = {
        pa.string(): "string",
        pa.int32(): "int",
        pa.int64(): "long",
        pa.bool_(): "boolean",
        pa.date32(): "date",
    }
    return names.get(kind, "timestamp")


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_the_documentation_lists_exactly_the_columns(feed: Feed) -> None:
    assert documented_columns(feed) == [(field.name, shown(field.type)) for field in feed.schema]


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_feed_can_be_read_and_kept_apart(feed: Feed) -> None:
    names = feed.schema.names
    assert len(names) == len(set(names))
    assert PARTITION in names
    assert {*feed.order_by, *feed.key} <= set(names)
    assert feed.order_by[0] == PARTITION
    assert names[-2:] == [column.name for column in VERSION_COLUMNS]
    assert bool(feed.key) != bool(feed.interface)
    for field in feed.schema:
        assert field.metadata[b"comment"], f"{feed.name}.{field.name} says nothing of what it means"
        if pa.types.is_timestamp(field.type):
            assert field.type == pa.timestamp("us", "UTC")


def test_no_feed_carries_a_caller_number() -> None:
    names = {name for feed in FEEDS for name in feed.schema.names}
    assert "caller_key" in names
    assert not {name for name in names if "caller" in name} - {
        "caller_key",
        "caller_key_missing_reason",
        "calls_without_caller_number",
    }
