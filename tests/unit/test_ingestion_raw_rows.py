"""Rows on their way to a raw table: what is written is what was given, in its order, and hashes never change."""

from __future__ import annotations

from hashlib import blake2b

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.raw_rows import NO_ROWS, RawRows

HASH = "f2c55445d8bbf4298bd0df0c6986d3c4"
TEXTS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=3), st.integers(1, 10**13)), max_size=12)


def lines_of(given_rows: list[tuple[str, str, int]], *, served: bool) -> list[str]:
    return [
        "\t".join(
            (
                record,
                *((behind,) if served else ()),
                blake2b(record.encode(), digest_size=16).hexdigest(),
                f"{line}\n",
            )
        )
        for record, behind, line in given_rows
    ]


def rows_of(given_rows: list[tuple[str, str, int]], *, served: bool) -> RawRows:
    records, behind, lines = ([row[place] for row in given_rows] for place in range(3))
    return RawRows.of_texts(records, behind if served else None, lines)  # type: ignore[arg-type]


@given(one=TEXTS, other=TEXTS, served=st.booleans())
def test_text_holds_every_row_in_its_order(
    one: list[tuple[str, str, int]], other: list[tuple[str, str, int]], served: bool
) -> None:
    rows = RawRows.joined([rows_of(part, served=served) for part in (one, [], other)])
    expected = lines_of([*one, *other], served=served)
    assert rows.texts() == expected and len(rows) == len(expected)
    assert bytes(rows.copy_text()) == "".join(expected).encode()


@given(rows=TEXTS, start=st.integers(0, 12), length=st.integers(0, 12))
def test_a_part_of_the_rows_is_that_part(rows: list[tuple[str, str, int]], start: int, length: int) -> None:
    whole, expected = rows_of(rows, served=True), lines_of(rows, served=True)
    part = whole.slice(start, length)
    assert part.texts() == expected[start : start + length]
    assert bytes(part.copy_text()) == "".join(expected[start : start + length]).encode()
    places = list(range(len(rows)))[::-2]
    assert whole.take(places).texts() == [expected[place] for place in places]
    # Hashes of rows that lie within longer columns are of those rows.
    assert RawRows.of(part.records, None, part.lines).hashes.to_pylist() == part.hashes.to_pylist()


def test_further_columns_stand_behind_the_line() -> None:
    rows = RawRows.of_texts(["a\tb", "c\td"], None, [7, 9]).slice(1)
    assert bytes(rows.copy_text(pa.array(["p"]), "of\tfile")).split(b"\t")[3:] == [
        b"9",
        b"p",
        b"of",
        b"file\n",
    ]


def test_no_rows_are_nothing() -> None:
    assert not NO_ROWS and NO_ROWS.texts() == [] and bytes(NO_ROWS.copy_text()) == b""
    assert RawRows.joined([]) is NO_ROWS


@pytest.mark.parametrize(("records", "repeated"), [(["a", "b"], False), (["a", "b", "a"], True), ([], False)])
def test_records_that_stand_twice_are_found(records: list[str], repeated: bool) -> None:
    assert RawRows.of_texts(records, None, list(range(len(records)))).repeat_a_hash == repeated


def test_the_hash_of_a_record_is_that_of_every_earlier_load() -> None:
    [digest] = RawRows.of_texts(["c-1\t1\t\\N"], None, [1]).hashes.to_pylist()
    assert digest == blake2b(b"c-1\t1\t\\N", digest_size=16).hexdigest() == HASH
    assert RawRows.of_texts(["c-1\t1\t\\N"], None, [1]).numbered([5]).texts() == [f"c-1\t1\t\\N\t{HASH}\t5\n"]
