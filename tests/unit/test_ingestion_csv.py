"""Rows of CSV: which lines are one row, which are refused, and that a quote never swallows the rows behind it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.contract import load_contract
from ingestion.csv_rows import MAX_LINES_OF_RECORD, CsvRows, cells_of
from ingestion.findings import FileRefusedError, RowRefusedError
from ingestion.lines import Chunk, Line, Lines
from ingestion.parse import Parser
from ingestion.privacy import CardWatch

CONTRACT = load_contract("complaint")
HEADER = "complaint_id,received_at,channel,outcome"


def read(*parts: str, header: str = HEADER) -> list[Line]:
    """Rows of a file whose text comes in the given parts, each of whole lines."""
    rows = CsvRows(CONTRACT)
    found: list[Line] = []
    number = 1
    for part in (header, *parts):
        lines = Lines(part.encode(), number)
        rows.read_header(lines)
        found += rows.records(lines, CardWatch(lines), range(len(lines)))
        number += part.count("\n") + 1
    return [*found, *rows.finish()]


def told(*parts: str) -> list[tuple[int, object]]:
    """Line and value of each row, or the rule that it breaks."""
    return [
        (row.number, row.value.rule if isinstance(row.value, RowRefusedError) else row.value["outcome"])
        for row in read(*parts)
    ]


def test_a_row_is_keyed_by_the_header_in_whatever_order() -> None:
    [row] = read("upheld,k-1,2026-03-02T09:00:00Z,email", header="outcome,complaint_id,received_at,channel")
    assert row.value == {
        "outcome": "upheld",
        "complaint_id": "k-1",
        "received_at": "2026-03-02T09:00:00Z",
        "channel": "email",
    }


def test_an_empty_cell_is_no_value() -> None:
    assert [row.value for row in read('k-1,,"",x')] == [{"complaint_id": "k-1", "outcome": "x"}]


@pytest.mark.parametrize("names", [["a"] * 2, ["complaint_id"], ["a\0"], [""] * 2])
def test_a_header_that_could_mean_two_things_is_refused(names: list[str]) -> None:
    with pytest.raises(FileRefusedError) as refused:
        read("", header=",".join([HEADER, *names]))
    assert refused.value.rule == "wrong_header"


def test_the_header_may_be_quoted_and_stand_behind_blank_lines() -> None:
    rows = read('"k,1",2,3,4', header='\n \n"complaint_id","received_at",channel,"outcome"')
    assert [(row.number, row.value["complaint_id"]) for row in rows] == [(4, "k,1")]  # type: ignore[index]


def test_a_cell_may_go_over_lines_and_chunks() -> None:
    assert told('1,2,3,"a', 'b"\n2,2,3,c', "3,2,3,d") == [(2, "a\nb"), (3 + 1, "c"), (5, "d")]


def test_a_quote_that_is_never_closed_costs_its_own_line_alone() -> None:
    good = [f"{n},2,3,x" for n in range(300)]
    assert told("\n".join(['1,2,3,"open', *good])) == [
        (2, "unterminated_quote"),
        *((n, "x") for n in range(3, 303)),
    ]


def test_a_quote_is_waited_for_over_so_many_lines_and_no_more() -> None:
    inside = "\n" * (MAX_LINES_OF_RECORD - 1)
    assert told(f'1,2,3,"{inside}"') == [(2, inside)]
    assert told(f'1,2,3,"{inside}\n"')[0] == (2, "unterminated_quote")


def test_two_stray_quotes_do_not_make_one_row_of_what_lies_between() -> None:
    found = told('1,2,3,"a\n2,2,3,b\n3,2,3,"c\n4,2,3,d')
    assert found == [(2, "unterminated_quote"), (3, "b"), (4, "unterminated_quote"), (5, "d")]


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ("1,2,3", "ragged_row"),
        ("1,2,3,4,5", "ragged_row"),
        ('1,2,3,a"b"', "invalid_csv"),
        ('1,2,3,"a"b', "invalid_csv"),
        ('1,2,3,"a" ', "invalid_csv"),
        ("1,2,3,a\rb", "invalid_csv"),
        ('1,2,3,"', "unterminated_quote"),
    ],
)
def test_a_row_that_is_no_csv_is_refused(cells: str, rule: str) -> None:
    assert told(f"0,2,3,before\n{cells}\n9,2,3,behind") == [(2, "before"), (3, rule), (4, "behind")]


def test_a_quoted_cell_may_be_as_long_as_a_line() -> None:
    text = 'x"' * 200_000
    assert cells_of('"' + text.replace('"', '""') + '"') == [text]


@settings(max_examples=300)
@given(st.lists(st.lists(st.text('ab",\n\r ', max_size=6), min_size=4, max_size=4), min_size=1, max_size=6))
def test_what_a_writer_writes_is_read(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    found = read(text.getvalue().removesuffix("\r\n"))
    names = HEADER.split(",")
    assert [row.value for row in found] == [
        {name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows
    ]


@settings(max_examples=300)
@given(st.text('ab",\n\r', max_size=60))
def test_no_line_vanishes(text: str) -> None:
    """Each line that is not blank is a row, or lies within the lines of one that was read."""
    within: set[int] = set()
    for row in read(text):
        within |= set(range(row.number, row.number + row.text.count(b"\n") + 1))
    filled = {number for number, each in enumerate(text.encode().split(b"\n"), start=2) if each.strip()}
    assert filled <= within


def test_whole_numbers_beyond_what_a_database_holds_are_still_numbers() -> None:
    rows = CsvRows(load_contract("payment_confirmation"))
    header = b"payment_ref,taken_at,amount_pence,currency,method,status"
    lines = Lines(header + b"\np,t," + b"9" * 30 + b",GBP,card,x")
    rows.read_header(lines)
    [row] = rows.records(lines, CardWatch(lines), range(len(lines)))
    assert isinstance(row.value, dict) and row.value["amount_pence"] == int("9" * 30)


@pytest.mark.parametrize(
    "cell",
    ["paid\nwith 4111 1111 1111 1111", "paid with 4111 1111\n1111 1111", "4111 1111 1111 1111\nwas it"],
)
def test_a_card_number_in_any_line_of_a_cell_is_removed(cell: str) -> None:
    text = f'{HEADER}\nk-1,2026-03-02T09:00:00Z,email,"{cell}"'
    parser = Parser(CONTRACT, b"a key for tests", datetime(2026, 3, 3, tzinfo=UTC))
    parsed = [parser.parse(Chunk(1, text.encode())), parser.finish()]
    [row] = [row for part in parsed for row in part.rows.texts()]
    assert sum(part.cards_redacted for part in parsed) == 1
    assert "1111" not in row and "[card number removed]" in row
