"""Damaged files of every interface: what each kind of damage comes to, stated by hand, and nothing vanishes.

The tables below are the expectation. Each case stands among 40 good rows, which load unless the file is refused.
Chunks and the greatest length of a line are made small, so that files of a few kilobytes go over their bounds.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from ingestion import columnar, lines
from ingestion.contract import Contract
from ingestion.run import ensure_raw_tables, ingest
from tests.fixtures.interface_files import (
    ABSENT,
    CONTRACTS,
    NOW,
    ask,
    broken_conservation,
    cells,
    empty,
    file_of,
    good,
    header,
    ledger,
    line,
    name_of,
    plain_text_field,
    rows_in,
)

pytestmark = pytest.mark.services

ROWS, PLACE = 40, 10
BLOCK, LONGEST, BOMB = 4 << 10, 32 << 10, 1 << 20


class Sheet:
    """40 good records of an interface with keys of their own, and what damage is made of."""

    def __init__(self, contract: Contract, first: int) -> None:
        self.contract = contract
        self._numbers = iter(range(first, first + 1_000))
        self.records = [good(contract, next(self._numbers)) for _ in range(ROWS)]
        self.header = header(contract)
        self.is_csv = bool(self.header)
        self.text = plain_text_field(contract)
        self.at = next(f.name for f in contract.fields if f.kind == "timestamp" and f.required)
        self.choice = next((f.name for f in contract.fields if f.choices and f.required), None)
        self.names = [f.name for f in contract.fields]
        # As interfaces have it: 64 characters, and 998 for the Message-ID of an e-mail.
        self.longest_key = 998 if contract.interface == "email_message" else 64

    @cached_property
    def rows(self) -> list[bytes]:
        return [line(self.contract, record) for record in self.records]

    def row(self, **changes: Any) -> bytes:
        """One more record, changed."""
        return line(self.contract, good(self.contract, next(self._numbers), **changes), ascii_only=False)

    def timed(self, value: Any) -> bytes:
        return self.row(**{self.at: value})

    def texted(self, value: Any) -> bytes:
        return self.row(**{self.text: value})

    def with_extra(self, text: str) -> bytes:
        """One more JSON record with one more field, whose value is given as JSON."""
        return self.row()[:-1] + b', "unknown": ' + text.encode() + b"}"

    def file(self, *inserted: bytes, end: bytes = b"\n") -> bytes:
        return b"".join(
            each + end for each in [*self.header, *self.rows[:PLACE], *inserted, *self.rows[PLACE:]]
        )

    @property
    def plain(self) -> bytes:
        return self.file()

    def columns(self, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
        """A CSV file whose every line is changed as a list of cells."""
        return b"".join(b",".join(change(each.split(b","))) + b"\n" for each in [*self.header, *self.rows])

    def required_columns(self) -> bytes:
        kept = [place for place, field in enumerate(self.contract.fields) if field.required]
        return self.columns(lambda row: [row[place] for place in kept])


@dataclass(frozen=True)
class Case:
    """One kind of damage.

    `file`: the rule for which the whole file is refused; None: it loads. `bad`: rules of the refused rows, which begin
    at the place of the damage and follow one another. `read`: rows of the file, where a person could not count its
    lines. `for_csv`, `for_jsonl`: the formats it can befall. `other`: by interface, another rule in place of the first
    of `bad`; or extract_bad_rows, for which the file is held.
    """

    name: str
    make: Callable[[Sheet], bytes | None]
    file: str | None = None
    bad: tuple[str, ...] = ()
    read: int | None = None
    suffix: str = ""
    for_csv: bool = True
    for_jsonl: bool = True
    other: dict[str, str | None] | None = None


def both(name: str, make: Callable[[Sheet], bytes | None], **expected: Any) -> Case:
    return Case(name, make, **expected)


def jsonl(name: str, make: Callable[[Sheet], bytes | None], **expected: Any) -> Case:
    return Case(name, make, for_csv=False, **expected)


def csv_(name: str, make: Callable[[Sheet], bytes | None], **expected: Any) -> Case:
    return Case(name, make, for_jsonl=False, **expected)


def row(
    name: str, make: Callable[[Sheet], bytes | None], *bad: str, kind: Any = both, **expected: Any
) -> Case:
    """A case of one damaged row among good ones."""

    def insert(sheet: Sheet) -> bytes | None:
        damaged = make(sheet)
        return None if damaged is None else sheet.file(damaged)

    return kind(name, insert, bad=bad, **expected)


PAGE = b"<!DOCTYPE html>\n<html>\n<body>503</body>\n</html>\n"
SEMICOLONS = bytes.maketrans(b",", b";")

REFUSED_FILES = [
    both("no byte", lambda s: b"", file="empty_file", read=0),
    both("blank lines alone", lambda s: b"\n \r\n\t\n", file="empty_file", read=0),
    both("a byte order mark alone", lambda s: b"\xef\xbb\xbf", file="empty_file", read=0),
    csv_("a header alone", lambda s: s.header[0] + b"\n", file="empty_file"),
    jsonl("a web page", lambda s: PAGE, file="not_json_lines"),
    csv_("a web page", lambda s: PAGE, file="wrong_header", read=0),
    jsonl("XML", lambda s: b"<?xml version='1.0'?>\n<calls/>\n", file="not_json_lines"),
    jsonl("a zip file", lambda s: b"PK\x03\x04" + bytes(range(128, 200)), file="not_json_lines"),
    jsonl("gzip under a plain name", lambda s: gzip.compress(s.plain, mtime=0), file="not_json_lines"),
    csv_("gzip under a plain name", lambda s: gzip.compress(s.plain, mtime=0), file="wrong_header", read=0),
    jsonl("one JSON array", lambda s: json.dumps(s.records).encode(), file="not_json_lines"),
    jsonl(
        "one printed JSON array", lambda s: json.dumps(s.records, indent=1).encode(), file="not_json_lines"
    ),
    jsonl(
        "objects over many lines",
        lambda s: json.dumps(s.records[0], indent=1).encode(),
        file="too_many_bad_rows",
    ),
    jsonl("CSV under a name of JSON Lines", lambda s: b"a,b,c\n1,2,3\n", file="too_many_bad_rows"),
    csv_("JSON Lines under a name of CSV", lambda s: b'{"a": 1}\n{"a": 2}\n', file="wrong_header", read=0),
    both("UTF-16 with its mark", lambda s: s.plain.decode().encode("utf-16"), file="wrong_encoding", read=0),
    both("UTF-32 with its mark", lambda s: s.plain.decode().encode("utf-32"), file="wrong_encoding", read=0),
    jsonl("UTF-16 without a mark", lambda s: s.plain.decode().encode("utf-16-le"), file="too_many_bad_rows"),
    csv_(
        "UTF-16 without a mark", lambda s: s.plain.decode().encode("utf-16-le"), file="wrong_header", read=0
    ),
    jsonl("nothing but NUL", lambda s: bytes(1_000), file="too_many_bad_rows"),
    csv_("nothing but NUL", lambda s: bytes(1_000), file="wrong_header", read=0),
    jsonl("line ends of CR alone", lambda s: s.file(end=b"\r"), file="too_many_bad_rows", read=1),
    csv_("line ends of CR alone", lambda s: s.file(end=b"\r"), file="wrong_header", read=0),
    jsonl("a file of one endless line", lambda s: b"x" * (3 * LONGEST), file="too_many_bad_rows"),
    csv_(
        "a file of one endless line",
        lambda s: b"x" * (3 * LONGEST),
        file="too_many_bad_rows",
        read=1,
        other={"wip_extract": "extract_bad_rows"},
    ),
    csv_("no header", lambda s: b"".join(row + b"\n" for row in s.rows), file="wrong_header", read=0),
    csv_("a title above the header", lambda s: b"Report of today\n" + s.plain, file="wrong_header", read=0),
    csv_("a required column missing", lambda s: s.columns(lambda c: c[1:]), file="wrong_header", read=0),
    csv_("a column twice", lambda s: s.columns(lambda c: [*c, c[0]]), file="wrong_header", read=0),
    csv_(
        "an unknown column twice",
        lambda s: s.header[0] + b",new,new\n" + s.rows[0] + b",,\n",
        file="wrong_header",
        read=0,
    ),
    csv_(
        "a header in capitals",
        lambda s: s.plain.replace(s.header[0], s.header[0].upper()),
        file="wrong_header",
        read=0,
    ),
    csv_(
        "NUL in the header",
        lambda s: s.header[0] + b",a\0b\n" + s.rows[0] + b",x\n",
        file="wrong_header",
        read=0,
    ),
    csv_("CP1252 in the header", lambda s: s.header[0] + b",caf\xe9\n", file="wrong_header", read=0),
    csv_("an open quote in the header", lambda s: b'"' + s.plain, file="wrong_header", read=0),
    csv_("semicolons between cells", lambda s: s.plain.translate(SEMICOLONS), file="wrong_header", read=0),
    csv_("tabs between cells", lambda s: s.plain.replace(b",", b"\t"), file="wrong_header", read=0),
    both("gzip cut in half", lambda s: _half(gzip.compress(s.plain)), file="cut_off", read=0, suffix=".gz"),
    both(
        "gzip without its last byte",
        lambda s: gzip.compress(s.plain)[:-1],
        file="cut_off",
        read=0,
        suffix=".gz",
    ),
    both(
        "gzip with other bytes behind it",
        lambda s: gzip.compress(s.plain) + b"junk",
        file="cut_off",
        read=0,
        suffix=".gz",
    ),
    both(
        "gzip whose checksum is wrong",
        lambda s: _flipped(gzip.compress(s.plain)),
        file="cut_off",
        read=0,
        suffix=".gz",
    ),
    both("plain text under a name of gzip", lambda s: s.plain, file="cut_off", read=0, suffix=".gz"),
    both("gzip of nothing", lambda s: gzip.compress(b""), file="empty_file", read=0, suffix=".gz"),
    both(
        "a gzip bomb",
        lambda s: gzip.compress(b"\n" * (4 << 20)),
        file="unpacked_too_large",
        read=0,
        suffix=".gz",
    ),
    both("three bad rows of 43", lambda s: s.file(*[s.timed("never")] * 3), file="too_many_bad_rows"),
]

HELD_IF_SNAPSHOT = {"wip_extract": "extract_bad_rows"}

JSON_ROWS = [
    row("a NUL byte", lambda s: s.row().replace(b'"', b'"\0', 1), "invalid_json", kind=jsonl),
    row("an escaped NUL in a text", lambda s: s.texted("a\0b"), "invalid_text", kind=jsonl),
    row("an escaped NUL in a name", lambda s: s.row(**{"a\0b": 1}), "invalid_text", kind=jsonl),
    row("half of a surrogate pair", lambda s: s.with_extra('"\\ud800"'), "invalid_text", kind=jsonl),
    row("a cut object", lambda s: s.row()[:-9], "invalid_json", kind=jsonl),
    row("two objects on a line", lambda s: s.row() + b" " + s.row(), "invalid_json", kind=jsonl),
    row(
        "an object over two lines",
        lambda s: s.row().replace(b", ", b",\n", 1),
        "invalid_json",
        "invalid_json",
        kind=jsonl,
    ),
    row(
        "as many objects as lines, but not one on each",
        lambda s: s.row().replace(b", ", b",\n", 1) + b"\n" + s.row() + s.row(),
        kind=jsonl,
        file="too_many_bad_rows",
    ),
    row("an array", lambda s: b"[" + s.row() + b"]", "not_an_object", kind=jsonl),
    row("a text", lambda s: b'"2026-03-02"', "not_an_object", kind=jsonl),
    row("null", lambda s: b"null", "not_an_object", kind=jsonl),
    row("single quotes", lambda s: s.row().replace(b'"', b"'"), "invalid_json", kind=jsonl),
    row("a comma at the end", lambda s: s.row()[:-1] + b",}", "invalid_json", kind=jsonl),
    row("a comment", lambda s: b"# of " + s.row(), "invalid_json", kind=jsonl),
    row("a byte order mark on the way", lambda s: b"\xef\xbb\xbf" + s.row(), "invalid_json", kind=jsonl),
    row("depth of 5,000", lambda s: s.with_extra("[" * 5_000 + "]" * 5_000), "invalid_json", kind=jsonl),
    row("an integer of 5,000 digits", lambda s: s.with_extra("1" * 5_000), "not_finite", kind=jsonl),
    row("1e400", lambda s: s.with_extra("1e400"), "not_finite", kind=jsonl),
    row("NaN", lambda s: s.with_extra("NaN"), "not_finite", kind=jsonl),
    row("Infinity", lambda s: s.with_extra("-Infinity"), "not_finite", kind=jsonl),
    row(
        "a field twice", lambda s: s.row()[:-1] + f', "{s.at}": null}}'.encode(), "repeated_field", kind=jsonl
    ),
    row(
        "an unknown field twice within",
        lambda s: s.with_extra('{"a": 1, "a": 2}'),
        "repeated_field",
        kind=jsonl,
    ),
    row("null in a required field", lambda s: s.timed(None), "wrong_type", kind=jsonl),
    row("a number in a text", lambda s: s.texted(17), "wrong_type", kind=jsonl),
    row("an object in a text", lambda s: s.texted({"a": 1}), "wrong_type", kind=jsonl),
    row("a timestamp as a number", lambda s: s.timed(1772442000), "wrong_type", kind=jsonl),
    row("a required field missing", lambda s: s.timed(ABSENT), "missing_field", kind=jsonl),
    row(
        "a field in other letters",
        lambda s: s.row(**{s.at: ABSENT, s.at.upper(): "2026-03-02T09:00:00Z"}),
        "missing_field",
        kind=jsonl,
    ),
]

CSV_ROWS = [
    row("too few cells", lambda s: s.row().rpartition(b",")[0], "ragged_row", kind=csv_),
    row("too many cells", lambda s: s.row() + b",more", "ragged_row", kind=csv_),
    row("semicolons in one row", lambda s: s.row().translate(SEMICOLONS), "ragged_row", kind=csv_),
    row(
        "a quote that is not closed",
        lambda s: s.row() + b'"',
        "unterminated_quote",
        kind=csv_,
        other=HELD_IF_SNAPSHOT,
    ),
    row(
        "quotes within a cell", lambda s: b'a"b"c' + s.row(), "invalid_csv", kind=csv_, other=HELD_IF_SNAPSHOT
    ),
    row(
        "text behind a closing quote",
        lambda s: b'"abc"d' + s.row(),
        "invalid_csv",
        kind=csv_,
        other=HELD_IF_SNAPSHOT,
    ),
    row(
        "two rows with CR between them",
        lambda s: s.row() + b"\r" + s.row(),
        "invalid_csv",
        kind=csv_,
        other=HELD_IF_SNAPSHOT,
    ),
    row("NUL in a cell", lambda s: s.texted("a\0b"), "invalid_text", kind=csv_),
    row(
        "the header again",
        lambda s: s.header[0],
        "timestamp_format",
        kind=csv_,
        other={"payment_confirmation": "wrong_type", "wip_extract": "not_in_list"},
    ),
    row("an empty cell in a required column", lambda s: s.timed(""), "missing_field", kind=csv_),
    row(
        "a quoted empty cell in a required column",
        lambda s: s.timed("<>").replace(b"<>", b'""'),
        "missing_field",
        kind=csv_,
    ),
    row("a byte order mark on the way is text", lambda s: b"\xef\xbb\xbf" + s.row(), kind=csv_),
]

SAME_ROWS = [
    row("a byte of CP1252", lambda s: s.texted("caf\xe9").replace("é".encode(), b"\xe9"), "not_utf8"),
    row("half a character of UTF-8", lambda s: s.texted("€").replace("€".encode(), b"\xe2\x82"), "not_utf8"),
    row("an overlong NUL of UTF-8", lambda s: s.texted("@@").replace(b"@@", b"\xc0\x80"), "not_utf8"),
    row(
        "a line without end", lambda s: s.texted("x" * (3 * LONGEST)), "line_too_long", other=HELD_IF_SNAPSHOT
    ),
    row("30 February", lambda s: s.timed("2026-02-30T10:00:00Z"), "timestamp_format"),
    row("month 13", lambda s: s.timed("2026-13-01T10:00:00Z"), "timestamp_format"),
    row("hour 24", lambda s: s.timed("2026-03-01T24:00:00Z"), "timestamp_format"),
    row("a leap second", lambda s: s.timed("2016-12-31T23:59:60Z"), "timestamp_format"),
    row("year 0", lambda s: s.timed("0000-01-01T00:00:00Z"), "timestamp_format"),
    row("seven decimals", lambda s: s.timed("2026-03-01T10:00:00.1234567Z"), "timestamp_format"),
    row("a British date", lambda s: s.timed("02/03/2026 10:00"), "timestamp_format"),
    row(
        "digits of another alphabet",
        lambda s: s.timed("\uff12\uff10\uff12\uff16-03-01T10:00:00Z"),
        "timestamp_format",
    ),
    row("no offset", lambda s: s.timed("2026-03-01T10:00:00"), "timestamp_without_offset"),
    row("1989", lambda s: s.timed("1989-12-31T23:59:59Z"), "timestamp_out_of_range"),
    row(
        "1970, as a clock that was never set",
        lambda s: s.timed("1970-01-01T00:00:00Z"),
        "timestamp_out_of_range",
    ),
    row("the year 2999", lambda s: s.timed("2999-01-01T00:00:00Z"), "timestamp_out_of_range"),
    row(
        "a value that is not in the list",
        lambda s: s.row(**{s.choice: "unheard_of"}) if s.choice else None,
        "not_in_list",
    ),
    row(
        "a listed value in capitals",
        lambda s: s.row(**{s.choice: str(s.records[0][s.choice]).swapcase()}) if s.choice else None,
        "not_in_list",
    ),
    row(
        "a key that is a character too long",
        lambda s: _with_key(s, "k" * (s.longest_key + 1)),
        "wrong_length",
    ),
    row(
        "a key of no character",
        lambda s: _with_key(s, ""),
        "wrong_length",
        other={n: "missing_field" for n, c in CONTRACTS.items() if c.file_format == "csv"},
    ),
]

OWN_ROWS = [
    row("pence in words", lambda s: _only(s, "payment_confirmation", amount_pence="twelve"), "wrong_type"),
    row(
        "pence with decimals", lambda s: _only(s, "payment_confirmation", amount_pence="94.50"), "wrong_type"
    ),
    row("NaN pence", lambda s: _only(s, "payment_confirmation", amount_pence="NaN"), "wrong_type"),
    row("the greatest number of pence", lambda s: _only(s, "payment_confirmation", amount_pence=2**63 - 1)),
    row("pence beyond it", lambda s: _only(s, "payment_confirmation", amount_pence=2**63), "out_of_range"),
    row(
        "pence of 30 digits", lambda s: _only(s, "payment_confirmation", amount_pence=10**29), "out_of_range"
    ),
    row(
        "a date of birth on 29 February 2025",
        lambda s: _only(s, "wip_extract", date_of_birth="2025-02-29"),
        "date_format",
    ),
    row(
        "a date of birth with a time",
        lambda s: _only(s, "wip_extract", date_of_birth="1980-02-29T00:00:00Z"),
        "date_format",
    ),
    row("a reference of blanks", lambda s: _only(s, "wip_extract", application_ref="  "), "wrong_length"),
    row(
        "a stage before the receipt",
        lambda s: _only(s, "wip_extract", stage_entered_at="2026-03-01T09:00:00Z"),
        "times_out_of_order",
    ),
    row(
        "a reply before the receipt",
        lambda s: _only(s, "email_message", replied_at="2026-03-01T09:00:00Z"),
        "times_out_of_order",
    ),
    row(
        "an attempt without outcome",
        lambda s: _only(s, "callback_event", event="attempted"),
        "outcome_missing",
    ),
    row("fewer than no agents", lambda s: _only(s, "queue_snapshot", agents_staffed=-1), "out_of_range"),
    row("half an agent", lambda s: _only(s, "queue_snapshot", agents_staffed=0.5), "wrong_type"),
    row(
        "a version of 2 to the 63rd",
        lambda s: _only(s, "webchat_session", record_version=2**63),
        "out_of_range",
    ),
    row("version 0", lambda s: _only(s, "email_message", record_version=0), "out_of_range"),
    row("a leg that is no object", lambda s: _only(s, "telephony_call", legs=["x"]), "wrong_type"),
    row("a queued call without a leg", lambda s: _only(s, "telephony_call", legs=[]), "queued_without_leg"),
    row("a flag in words", lambda s: _only(s, "email_message", is_complaint="no"), "wrong_type"),
    row("a code of null", lambda s: _only(s, "agent_state", line_of_business=[None]), "wrong_type"),
]

HARMLESS = [
    both("nothing", lambda s: s.plain),
    both("a byte order mark", lambda s: b"\xef\xbb\xbf" + s.plain),
    both("line ends of CR LF", lambda s: s.file(end=b"\r\n")),
    both("mixed line ends", lambda s: s.plain.replace(b"\n", b"\r\n", 7)),
    both("no line end at the end", lambda s: s.plain[:-1]),
    both("blank lines in between", lambda s: s.file(b"", b"  ", b"\t\r", b"")),
    both("gzip", lambda s: gzip.compress(s.plain), suffix=".gz", read=ROWS),
    both(
        "gzip in two members",
        lambda s: gzip.compress(s.plain[:99]) + gzip.compress(s.plain[99:]),
        suffix=".gz",
        read=ROWS,
    ),
    jsonl("blanks around objects", lambda s: b"".join(b" \t" + row + b" \r\n" for row in s.rows)),
    jsonl("fields in another order", lambda s: b"".join(_turned(r) for r in s.records)),
    jsonl("fields that nobody knows", lambda s: s.file(s.row(unknown={"deep": [1, {"x": None}]}))),
    csv_("columns in another order", lambda s: s.columns(lambda c: c[::-1])),
    csv_("a column that nobody knows", lambda s: s.columns(lambda c: [*c, b"unknown"])),
    csv_("every cell in quotes", lambda s: s.columns(lambda c: [b'"' + cell + b'"' for cell in c])),
    csv_("optional columns missing", lambda s: s.required_columns()),
    csv_("csv-spectrum: a comma in quotes", lambda s: s.file(s.texted("a, b")), read=ROWS + 1),
    csv_("csv-spectrum: quotes doubled", lambda s: s.file(s.texted('say "yes"')), read=ROWS + 1),
    csv_("csv-spectrum: a line end in quotes", lambda s: s.file(s.texted("one\ntwo\n\nfour")), read=ROWS + 1),
    csv_(
        "csv-spectrum: CR LF in quotes", lambda s: s.file(s.texted("one\r\ntwo"), end=b"\r\n"), read=ROWS + 1
    ),
    csv_(
        "csv-spectrum: JSON in a cell",
        lambda s: s.file(s.texted('{"type": "Point", "at": [1, 2]}')),
        read=ROWS + 1,
    ),
    csv_("csv-spectrum: UTF-8", lambda s: s.file(s.texted("ʤ ☃")), read=ROWS + 1),
    csv_("csv-spectrum: a quote alone in quotes", lambda s: s.file(s.texted('"')), read=ROWS + 1),
]

CASES = [*REFUSED_FILES, *JSON_ROWS, *CSV_ROWS, *SAME_ROWS, *OWN_ROWS, *HARMLESS]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


def _turned(record: dict[str, Any]) -> bytes:
    return json.dumps(dict(reversed(record.items()))).encode() + b"\n"


def _with_key(sheet: Sheet, key: str) -> bytes:
    name = next(field.name for field in sheet.contract.fields if field.is_key and field.kind == "string")
    return sheet.row(**{name: key})


def _only(sheet: Sheet, interface: str, **changes: Any) -> bytes | None:
    return sheet.row(**changes) if sheet.contract.interface == interface else None


@dataclass(frozen=True)
class Sent:
    """A damaged file, and what must become of it."""

    interface: str
    case: Case
    name: str
    data: bytes
    read: int
    file_rule: str | None
    refused: list[tuple[int, str]]


def _sent(interface: str) -> list[Sent]:
    contract = CONTRACTS[interface]
    found = []
    for number, case in enumerate(CASES, start=1):
        sheet = Sheet(contract, number * 1_000)
        if not (case.for_csv if sheet.is_csv else case.for_jsonl):
            continue
        data = case.make(sheet)
        if data is None:
            continue
        other = (case.other or {}).get(interface)
        held = other if other == "extract_bad_rows" else case.file
        rules = (other, *case.bad[1:]) if other and not held else case.bad
        at = PLACE + len(sheet.header) + 1
        found.append(
            Sent(
                interface,
                case,
                name_of(contract, number, case.suffix),
                data,
                rows_in(contract, data) if case.read is None else case.read,
                held,
                [(at + place, rule) for place, rule in enumerate(rules)],
            )
        )
    return found


SENT = {interface: _sent(interface) for interface in CONTRACTS}
EACH = [pytest.param(each, id=f"{name}-{each.case.name}") for name, all_ in SENT.items() for each in all_]


def _small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lines, "BLOCK_BYTES", BLOCK)
    patch.setattr(lines, "MAX_LINE_BYTES", LONGEST)
    patch.setattr(lines, "RATIO_COUNTS_FROM_BYTES", BOMB)
    patch.setattr(columnar, "_TOO_FEW", 1)


@pytest.fixture(scope="module")
def outcomes(
    warehouse: Settings, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, dict[str, Any]]]:
    """The ledger after every damaged file of every interface was polled three times."""
    ensure_raw_tables(warehouse)
    empty(warehouse)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        _small(patch)
        for interface, sent in SENT.items():
            folder = tmp_path_factory.mktemp(interface)
            for each in sent:
                (folder / each.name).write_bytes(each.data)
            for _ in range(warehouse.polls_before_quarantine):
                summary = ingest(warehouse, interface, str(folder), now=NOW)
                assert not summary.files("failed"), summary.as_text()
            found[interface] = ledger(warehouse, interface)
    return found


@pytest.mark.parametrize("sent", EACH)
def test_each_damage_comes_to_what_is_said(
    sent: Sent, outcomes: dict[str, dict[str, dict[str, Any]]]
) -> None:
    row = outcomes[sent.interface][sent.name]
    told = (row["state"], row["rule"], row["rows_read"])
    if sent.file_rule is not None:
        assert told == ("quarantined", sent.file_rule, sent.read)
        assert (row["raw"], row["rows_quarantined"]) == (0, sent.read)
        assert row["refused"][0] == [None, sent.file_rule]
        assert len([line for line, _ in row["refused"] if line is None]) == 1
    else:
        assert told == ("loaded", None, sent.read)
        assert [tuple(each) for each in row["refused"]] == sent.refused
        assert row["raw"] == row["rows_loaded"] == sent.read - len(sent.refused) >= ROWS
        assert (row["rows_unchanged"], row["rows_quarantined"]) == (0, len(sent.refused))


def test_of_no_file_does_a_row_vanish(outcomes: dict[str, Any], warehouse: Settings) -> None:
    assert [len(outcomes[interface]) for interface in CONTRACTS] == [len(SENT[name]) for name in CONTRACTS]
    assert sum(map(len, SENT.values())) > 600
    assert broken_conservation(warehouse) == []


def test_every_rule_that_a_damaged_file_can_break_was_broken(outcomes: dict[str, Any]) -> None:
    from ingestion.findings import FILE_RULES, ROW_RULES

    broken = {rule for files in outcomes.values() for row in files.values() for _, rule in row["refused"]}
    elsewhere = {
        "file_name",
        "extract_stale",
        "extract_size",
        "digest_differs",
        "refused_by_database",
        "repeated_key",
    }
    assert {*ROW_RULES, *FILE_RULES} - broken == elsewhere


# -------------------------------------------------------------------------------------------------------- cut off

PARTS = [*range(2, 100, 4), 99]
CUT_ROWS = 100


@pytest.fixture
def clean(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An empty warehouse, and small chunks."""
    ensure_raw_tables(warehouse)
    empty(warehouse)
    _small(monkeypatch)
    yield warehouse
    assert broken_conservation(warehouse) == []


def _load(settings: Settings, interface: str, folder: Path) -> None:
    for _ in range(settings.polls_before_quarantine):
        summary = ingest(settings, interface, str(folder), now=NOW)
        assert not summary.files("failed"), summary.as_text()


@pytest.mark.parametrize("interface", CONTRACTS)
def test_a_file_that_is_cut_anywhere_loses_at_most_its_last_row_and_says_so(
    interface: str, clean: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS[interface]
    is_extract = contract.record_kind == "snapshot"
    expected = {}
    whole = file_of(contract, [good(contract, number) for number in range(CUT_ROWS)])
    name = name_of(contract, 0)
    (tmp_path / name).write_bytes(whole)
    expected[name] = ("loaded", None, CUT_ROWS, 0)
    for number, part in enumerate(PARTS, start=1):
        data = file_of(contract, [good(contract, number * CUT_ROWS + place) for place in range(CUT_ROWS)])
        data = data[: len(data) * part // 100]
        rows, tail = rows_in(contract, data), not data.endswith(b"\n")
        name = name_of(contract, number)
        (tmp_path / name).write_bytes(data)
        # A cell of text that is cut is still a text: nobody can tell, unless a digest lies beside the file.
        cells_of_tail = data.rpartition(b"\n")[2].count(b",") + 1
        told = tail and not (contract.file_format == "csv" and cells_of_tail == len(contract.fields))
        if not rows:  # cut within the header, or behind it
            expected[name] = (
                "quarantined",
                "wrong_header" if contract.file_format == "csv" else "too_many_bad_rows",
                0,
                0,
            )
        elif is_extract and tail:
            expected[name] = ("quarantined", "cut_off", 0, 0)
        elif told and rows < 20:  # one bad row is more than 5 %
            expected[name] = ("quarantined", "too_many_bad_rows", rows, rows)
        else:
            expected[name] = ("loaded", None, rows, int(told))
    _load(clean, interface, tmp_path)
    found = {
        name: (row["state"], row["rule"], row["rows_read"], row["rows_quarantined"])
        for name, row in ledger(clean, interface).items()
    }
    assert found == expected
    assert [row["raw"] for row in ledger(clean, interface).values()] == [
        read - refused for state, _, read, refused in expected.values()
    ]
    if is_extract:
        assert ask(clean, "select count(*) from serving.wip_current") == [(CUT_ROWS,)]


@pytest.mark.parametrize("interface", CONTRACTS)
def test_a_packed_file_that_is_cut_anywhere_loads_nothing(
    interface: str, clean: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS[interface]
    for number, part in enumerate(PARTS[::2], start=1):
        data = gzip.compress(file_of(contract, [good(contract, place) for place in range(CUT_ROWS)]))
        (tmp_path / name_of(contract, number, ".gz")).write_bytes(data[: len(data) * part // 100])
    _load(clean, interface, tmp_path)
    found = ledger(clean, interface)
    assert len(found) == len(PARTS[::2])
    assert {(row["state"], row["rule"], row["raw"]) for row in found.values()} == {
        ("quarantined", "cut_off", 0)
    }


# ---------------------------------------------------------------------------------------------- fuzzed and odd names


@pytest.mark.parametrize("interface", CONTRACTS)
def test_whatever_bytes_change_every_row_is_accounted_for(
    interface: str, clean: Settings, tmp_path: Path
) -> None:
    """Bytes changed, doubled and dropped at random: what loads and what is refused add up to the lines of the file."""
    contract, choose = CONTRACTS[interface], random.Random(interface)
    head = len(b"".join(each + b"\n" for each in header(contract)))
    counted = {}
    for number in range(1, 21):
        data = bytearray(file_of(contract, [good(contract, number * 100 + place) for place in range(60)]))
        for _ in range(choose.randint(1, 4)):
            place = choose.randrange(head, len(data))
            match choose.randrange(4):
                case 0:
                    data[place] = choose.randrange(256)
                case 1:
                    data[place:place] = choose.choice(
                        [b'"', b",", b"\0", b"\\", b"{", b"}", b"\r", b"\xff", b":", b"]"]
                    )
                case 2:
                    del data[place : place + choose.randint(1, 40)]
                case 3:
                    data[place:place] = data[place : place + choose.randint(1, 40)]
        name = name_of(contract, number)
        (tmp_path / name).write_bytes(data)
        counted[name] = rows_in(contract, bytes(data))
    relaxed = clean.model_copy(update={"max_bad_row_share": 1.0, "max_extract_change": 1.0})
    _load(relaxed, interface, tmp_path)
    found = ledger(clean, interface)
    assert found.keys() == counted.keys()
    loaded = 0
    for name, row in found.items():
        if row["state"] == "loaded":
            # Two lines may be one row where both hold a quote.
            missing = counted[name] - row["rows_read"]
            assert missing == 0 or (contract.file_format == "csv" and 0 < missing < 60), (name, missing)
            assert row["raw"] == row["rows_loaded"]
            loaded += row["raw"]
        else:
            assert row["rule"] in ("extract_bad_rows", "cut_off") and contract.record_kind == "snapshot", row[
                "rule"
            ]
    assert loaded > 300


NAMES = [
    "..%2f..%2fetc%2fpasswd",
    "...jsonl",
    "a\\..\\b.jsonl",
    "new\nline.csv",
    "tab\tand\x1b[31mred.jsonl",
    "\u202elnosj.exe",
    "\u200b",
    "'; drop table ops.files; --.csv",
    "{interface}_x_20261399T999999Z_1.{format}",
    "{interface}_x_20260302T100000Z_1.{format}.exe",
    "{interface}__20260302T100000Z_1",
    "{interface}_test_20260302T100000Z_1234567890123.{format}",
    "{interface}_\u202e_20260302T100000Z_1.{format}",
    "{interface}_test_20260302T100000Z_1.{format}\n",
    "{interfaces}_test_20260302T100000Z_1.{format}",
]


@pytest.mark.parametrize("interface", CONTRACTS)
def test_odd_names_are_recorded_once_and_never_read(interface: str, clean: Settings, tmp_path: Path) -> None:
    contract = CONTRACTS[interface]
    names = [
        name.format(interface=interface, interfaces=interface + "s", format=contract.file_format)
        for name in NAMES
    ]
    for name in names:
        (tmp_path / name).write_bytes(file_of(contract, [good(contract, 1)]))
    (tmp_path / "loop").symlink_to("loop")
    good_name = name_of(contract, 1)
    (tmp_path / good_name).write_bytes(file_of(contract, [good(contract, 2)]))
    for _ in range(2):
        summary = ingest(clean, interface, str(tmp_path), now=NOW)
        assert not summary.files("failed"), summary.as_text()
    found = ask(clean, "select name, state, rule, rows_read from ops.files where name <> %s", good_name)
    shown = [name.replace("1234567890123", "[number masked]") for name in names if name[0] != "."]
    assert sorted(found) == sorted((name, "quarantined", "file_name", 0) for name in shown)
    assert ask(clean, f"select count(*) from {contract.raw_table}") == [(1,)]


@pytest.mark.parametrize(
    "name", ["../outside_test_20260302T100000Z_1.jsonl", "/etc/passwd", "deeper/../x.jsonl"]
)
def test_a_path_is_no_name_of_a_file(name: str, clean: Settings, tmp_path: Path) -> None:
    from ingestion.run import load_file

    (tmp_path / "outside_test_20260302T100000Z_1.jsonl").write_bytes(b"{}\n")
    (tmp_path / "x.jsonl").write_bytes(b"{}\n")
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        load_file(clean, "agent_state", name, 1, str(tmp_path / "in"), NOW)
    assert ask(clean, "select count(*) from ops.files") == [(0,)]


def test_a_name_as_long_as_the_system_allows_is_loaded(clean: Settings, tmp_path: Path) -> None:
    contract = CONTRACTS["agent_state"]
    short = name_of(contract, 1, sender="x")
    long = name_of(contract, 1, sender="x" * (256 - len(short)))
    assert len(long) == 255
    (tmp_path / long).write_bytes(file_of(contract, [good(contract, 1)]))
    assert ingest(clean, "agent_state", str(tmp_path), now=NOW).counts.loaded == 1


# --------------------------------------------------------------------------------------------- found by attack


def test_a_record_does_not_go_on_behind_a_line_that_was_too_long(clean: Settings, tmp_path: Path) -> None:
    """A quoted cell whose middle line is too long: what stands before and behind it is never joined to one row."""
    contract = CONTRACTS["complaint"]
    begin, end = line(contract, good(contract, 0, summary_code="@")).split(b"@")
    data = file_of(contract, [good(contract, number) for number in range(1, 60)])
    data += begin + b'"one\n' + b"x" * (3 * LONGEST) + b'\ntwo"' + end + b"\n"
    (tmp_path / name_of(contract, 1)).write_bytes(data)
    ingest(clean.model_copy(update={"max_bad_row_share": 0.5}), "complaint", str(tmp_path), now=NOW)
    [row] = ledger(clean, "complaint").values()
    assert (row["rows_read"], row["raw"]) == (62, 59)
    assert row["refused"] == [[61, "unterminated_quote"], [62, "line_too_long"], [63, "unterminated_quote"]]


def test_an_unknown_field_of_any_name_does_not_block_its_file(clean: Settings, tmp_path: Path) -> None:
    """No index of the database takes a text of 4,000 characters that cannot be packed."""
    contract = CONTRACTS["agent_state"]
    name = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=4_000))
    (tmp_path / name_of(contract, 1)).write_bytes(file_of(contract, [good(contract, 1, **{name: 1})]))
    summary = ingest(clean, "agent_state", str(tmp_path), now=NOW)
    assert summary.counts.loaded == 1, summary.as_text()
    assert ask(clean, "select _extra from raw.agent_state") == [({name: 1},)]
    assert ask(clean, "select field from ops.unknown_fields") == [(name[:200],)]


def test_what_only_looks_like_a_field_that_is_not_kept_is_reported_and_hidden(
    clean: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS["webchat_session"]
    record = good(contract, 1, transcript_language="en", Transcript=[{"text": "I am Canary Smith"}])
    (tmp_path / name_of(contract, 1)).write_bytes(file_of(contract, [record]))
    ingest(clean, "webchat_session", str(tmp_path), now=NOW)
    assert ask(clean, "select _extra from raw.webchat_session") == [
        ({"Transcript": "[masked]", "transcript_language": "[masked]"},)
    ]
    assert ask(clean, "select field from ops.unknown_fields order by 1") == [
        ("Transcript",),
        ("transcript_language",),
    ]


def test_a_long_text_in_quotes_is_a_text_like_any_other(clean: Settings, tmp_path: Path) -> None:
    contract = CONTRACTS["complaint"]
    text = "x" * 200_000 + '"'
    lines.MAX_LINE_BYTES = 1 << 20  # restored by the fixture
    (tmp_path / name_of(contract, 1)).write_bytes(file_of(contract, [good(contract, 1, summary_code=text)]))
    ingest(clean, "complaint", str(tmp_path), now=NOW)
    assert ask(clean, "select summary_code from raw.complaint") == [(text,)]


def test_cells_helper_writes_what_a_reader_reads() -> None:
    assert cells(["a", 'b"c', "d,e", "f\ng"]) == b'a,"b""c","d,e","f\ng"'
