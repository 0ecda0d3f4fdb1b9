"""Chunks of a file to rows of the raw table in the text form of COPY, and findings for the rows that are refused.

The numbers and addresses of customers are replaced and card numbers removed here, so that nothing behind this module
ever holds them. This module opens no file and no connection.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.columnar import ColumnReader, Values
from ingestion.contract import Contract, Field
from ingestion.csv_rows import CsvRows
from ingestion.findings import ROW_RULES, Finding, RowRefusedError
from ingestion.json_lines import JsonLines
from ingestion.lines import Chunk, Line, Lines
from ingestion.privacy import (
    MASKED_VALUE,
    CardWatch,
    CsvTextMask,
    KeyTokens,
    MissingReason,
    RawTextMask,
    keyed,
    mask,
    mask_in,
    redact_cards_in,
    reference_keys,
)
from ingestion.raw_rows import NO_ROWS, RawRows
from ingestion.rows import Instants, RowReader

RAW_TEXT_CHARACTERS = 4_000
REPORTED_CHARACTERS = 200
"""Of the name of a field that the contract does not know; in `_extra` it stands whole."""
_NULL = r"\N"
_REMEMBERED = 200_000
_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_INDEX = re.compile(r"\[\d+\]")
_IN_LIST = re.compile(r"^(\w+\[\d+\]\.).*", re.DOTALL)

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Parsed:
    """What became of the lines of one chunk.

    `read` counts rows, good and bad; `seconds` is how long it took.
    """

    rows: RawRows = NO_ROWS
    read: int = 0
    findings: list[Finding] = field(default_factory=list)
    unknown_fields: set[str] = field(default_factory=set)
    cards_redacted: int = 0
    seconds: float = 0.0


class _Rows(NamedTuple):
    """Rows that are read one by one: the COPY text of their columns, and their lines."""

    records: list[str]
    served: list[str]
    lines: list[int]


class Parser:
    """Parses the chunks of one file, in order."""

    def __init__(
        self,
        contract: Contract,
        secret: bytes,
        now: datetime,
        *,
        columnwise: bool = True,
        numbers_are_tokens: bool = False,
    ) -> None:
        """Compile the contract.

        Args:
            contract: The interface.
            secret: Key of the HMAC that replaces customers' numbers and addresses.
            now: Clock of the load, aware.
            columnwise: Read plain rows column by column, which is faster and has the same outcome.
            numbers_are_tokens: Telephone numbers were replaced by tokens of KeyTokens before.
        """
        fields = contract.fields
        self._contract = contract
        self._reader = RowReader(contract, now)
        self._format = CsvRows(contract) if contract.file_format == "csv" else JsonLines(contract)
        kept = [each for each in fields if each.treatment not in ("identity", "not_kept")]
        self._values = _getter(kept)
        keys = {
            each.name: _KeyColumns(
                each,
                KeyTokens.of_token
                if numbers_are_tokens and each.treatment == "telephone_number"
                else keyed(each.treatment, secret),
            )
            for each in kept
            if each.key_column
        }
        self._writers = [
            keys[each.name].__getitem__ if each.name in keys else _plain_writer(each) for each in kept
        ]
        in_bulk: dict[str, Callable[[Values], Values]] = {
            each.name: partial(_references, each, secret=secret)
            if each.treatment == "reference"
            else keys[each.name].of_all
            for each in kept
            if each.name in keys
        }
        self._columns = ColumnReader(contract, in_bulk, Instants(now)) if columnwise else None
        serving = [column.field for column in contract.serving_columns if column.field]
        self._serving_values = _getter(serving)
        self._serving_writers = [_plain_writer(each) for each in serving]
        # Keys, and what refers to them, stay whatever they look like: records would merge and links break without
        # them. Keyed values go anyway.
        self._not_searched = {each.name for each in fields if each.is_identifier or each.key_column}
        self._not_kept = tuple(each.name for each in fields if each.treatment == "not_kept")
        self._names_people = any(each.treatment == "identity" for each in fields)

    def parse_all(self, chunks: Iterable[Chunk], threads: int) -> Iterator[tuple[Chunk, Parsed]]:
        """Parse the chunks of a file, each with its outcome, in their order.

        Arrow and the hashes of long texts let other threads run. So where a format allows it, some chunks are parsed
        side by side; no more than one for each thread lies ahead of the one that is given.
        """
        if threads == 1 or not self._format.reads_apart:
            yield from ((chunk, self._timed(chunk)) for chunk in chunks)
            return
        ahead: deque[tuple[Chunk, Future[Parsed]]] = deque()
        with ThreadPoolExecutor(threads, "parse") as pool:
            for chunk in chunks:
                ahead.append((chunk, pool.submit(self._timed, chunk)))
                if len(ahead) > threads:
                    first, parsed = ahead.popleft()
                    yield first, parsed.result()
            for first, parsed in ahead:
                yield first, parsed.result()

    def _timed(self, chunk: Chunk) -> Parsed:
        started = time.perf_counter()
        parsed = self.parse(chunk)
        parsed.seconds = time.perf_counter() - started
        return parsed

    def parse(self, chunk: Chunk) -> Parsed:
        """Parse the lines of a chunk.

        Raises:
            FileRefusedError: The file has a header, and not one of this interface.
        """
        if chunk.too_long:
            parsed = self.finish()  # no record goes on behind a line that was not read
            too_long = RowRefusedError("line_too_long", "the line is too long")
            parsed.read += 1
            parsed.findings.append(self._finding(too_long, chunk.first_line, chunk.data))
            return parsed
        lines = Lines(chunk.data, chunk.first_line)
        watch = CardWatch(lines)
        if isinstance(self._format, CsvRows):
            self._format.read_header(lines)
        done, rows = self._columnwise(lines, watch)
        left = np.ones(len(lines), dtype=bool)
        left[done] = False
        parsed = self._parse(self._format.records(lines, watch, np.flatnonzero(left).tolist()))
        parsed.rows = RawRows.joined([parsed.rows, rows])
        parsed.read += len(rows)
        return parsed

    def _columnwise(self, lines: Lines, watch: CardWatch) -> tuple[Any, RawRows]:
        """The indexes of the lines that could be read column by column, and their rows."""
        plain = self._format.plain(lines, watch) if self._columns else np.zeros(len(lines), dtype=bool)
        indexes = np.flatnonzero(plain)
        if self._columns is None or not len(indexes):
            return indexes, NO_ROWS
        if isinstance(self._format, CsvRows):
            return self._columns.read_csv(self._format.names, lines, indexes)
        return self._columns.read_json(lines, indexes)

    def finish(self) -> Parsed:
        """Parse what is left at the end of the file."""
        return self._parse(self._format.finish())

    def _parse(self, lines: Iterable[Line]) -> Parsed:
        parsed = Parsed()
        rows = _Rows([], [], [])
        for line in lines:
            parsed.read += 1
            value = line.value
            try:
                if isinstance(value, RowRefusedError):
                    raise value
                cards = 0
                if line.is_suspect:
                    value, cards = self._cleaned(value)
                self._add_row(rows, value, line.number, parsed)
                parsed.cards_redacted += cards
            except RowRefusedError as refused:
                parsed.findings.append(self._finding(refused, line.number, line.text))
            except RecursionError:
                too_deep = RowRefusedError("invalid_json", "the line is nested too deeply")
                parsed.findings.append(self._finding(too_deep, line.number, line.text))
        if rows.lines:
            served = rows.served if self._serving_writers else None
            parsed.rows = RawRows.of_texts(rows.records, served, rows.lines)
        return parsed

    def _cleaned(self, value: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The object without card numbers, and how many there were; refused if any text in it holds a NUL."""
        if _holds_nul(value):
            raise RowRefusedError("invalid_text", "a text holds a NUL character")
        kept = {name: inner for name, inner in value.items() if name in self._not_searched}
        searched = {name: inner for name, inner in value.items() if name not in self._not_searched}
        cleaned, found = redact_cards_in(searched)
        return {**kept, **cleaned}, found

    def _add_row(self, rows: _Rows, value: dict[str, Any], number: int, parsed: Parsed) -> None:
        record, unknown = self._reader.read(value)
        columns = [write(each) for write, each in zip(self._writers, self._values(record), strict=True)]
        if unknown:
            unknown = self._hidden_in(unknown)
            parsed.unknown_fields.update(_INDEX.sub("[]", path)[:REPORTED_CHARACTERS] for path in unknown)
            columns.append(_json_text(json.dumps(unknown, sort_keys=True, ensure_ascii=False)))
        else:
            columns.append(_NULL)
        values = zip(self._serving_writers, self._serving_values(record), strict=True)
        served = "\t".join([write(each) for write, each in values])
        rows.records.append("\t".join(columns))
        rows.served.append(served)
        rows.lines.append(number)

    def _hidden_in(self, unknown: dict[str, Any]) -> dict[str, Any]:
        """Fields that the contract does not know, without what could be personal data in them."""
        if self._not_kept:  # what lies in such a field, or looks like one, may hold what it holds
            unknown = {
                _IN_LIST.sub(rf"\1{MASKED_VALUE}", path) if like else path: MASKED_VALUE if like else inner
                for path, inner in unknown.items()
                for like in (path.lower().startswith(self._not_kept),)
            }
        if self._names_people:  # a name looks like any other text
            return {mask(path): MASKED_VALUE for path in unknown}
        masked: dict[str, Any] = mask_in(unknown)
        return masked

    def _finding(self, refused: RowRefusedError, number: int, line: bytes) -> Finding:
        text = self._mask_line(line, RAW_TEXT_CHARACTERS)
        if not self._names_people:
            return finding_of(refused, number, text)
        # The detail may repeat a value, and a value in the wrong column may be a name.
        meaning = ROW_RULES[refused.rule][0] if refused.rule in ROW_RULES else None
        rule = next((rule for rule in self._contract.rules if rule.name == refused.rule), None)
        plain = meaning or f"Not so: {rule.description if rule else ''}"
        return finding_of(RowRefusedError(refused.rule, plain, refused.field), number, text)

    @property
    def _mask_line(self) -> Callable[[bytes, int], str]:
        if isinstance(self._format, CsvRows):
            return CsvTextMask(self._contract, self._format.names)
        return self._json_mask

    @property
    def _json_mask(self) -> RawTextMask:
        fields = self._contract.fields
        return RawTextMask(
            personal=[each.name for each in fields if each.is_hidden and each.treatment != "not_kept"],
            public=[each.name for each in fields if each.is_public],
            not_kept=self._not_kept,
        )


def finding_of(refused: RowRefusedError, number: int, raw_text: str) -> Finding:
    """A refused row, in words without personal data; `raw_text` holds none either."""
    advice = ROW_RULES.get(refused.rule, ("", "Correct the record and send it again."))[1]
    where = f"{refused.field}: " if refused.field else ""
    return Finding(
        line_number=number,
        field=refused.field,
        rule=refused.rule,
        message=mask(f"{where}{refused.detail.rstrip('.')}.").replace("\x00", "\\x00") + f" {advice}",
        raw_text=raw_text,
    )


class _KeyColumns(dict[str | None, str]):
    """The columns that replace a number, an address or a reference. Customers come again: theirs are remembered."""

    def __init__(
        self, of: Field, key_of: Callable[[str | None], tuple[str | None, MissingReason | None]]
    ) -> None:
        super().__init__()
        self._key_of = key_of
        self._with_reason = of.treatment != "reference"
        self._required = of.required and not of.nullable
        self._name = of.name

    def __missing__(self, value: str | None) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        key, reason = self._key_of(value)
        if key is None and self._required:
            raise RowRefusedError("wrong_length", "it is blank", self._name)
        if not self._with_reason:  # a reference seldom stands in a file twice
            return key or _NULL
        columns = self[value] = f"{key or _NULL}\t{reason or _NULL}"
        return columns

    def of_all(self, values: Values) -> Values:
        """The columns of many values, worked out once for each distinct one; null where a value is refused."""
        coded = pc.dictionary_encode(values, null_encoding="encode")
        texts: list[str | None] = []
        for value in coded.dictionary.to_pylist():
            try:
                texts.append(self[value])
            except RowRefusedError:
                texts.append(None)
        return pa.array(texts, pa.string()).take(coded.indices)


def _references(of: Field, references: Values, secret: bytes) -> Values:
    """What `_KeyColumns.of_all` gives for references, of which none is expected twice."""
    keys = pa.array(reference_keys(references.to_pylist(), secret), pa.string())
    return keys if of.required and not of.nullable else pc.fill_null(keys, _NULL)


def _getter(fields: list[Field]) -> Callable[[Any], tuple[Any, ...]]:
    if len(fields) == 1:
        [only] = fields
        return lambda record: (getattr(record, only.name),)
    return attrgetter(*(each.name for each in fields)) if fields else lambda record: ()


def _plain_writer(of: Field) -> Callable[[Any], str]:
    """How a value of a field is written as COPY text."""
    write: dict[str, Callable[[Any], str]] = {
        "string": str if of.choices else _text,
        "timestamp": str,
        "date": str,
        "integer": str,
        "number": str,
        "boolean": lambda value: "t" if value else "f",
        "array": _json,
        "object": _json,
    }
    if of.required and not of.nullable:
        return write[of.kind]
    return lambda value: _NULL if value is None else write[of.kind](value)


def _text(value: str) -> str:
    return value if value.isprintable() and "\\" not in value else value.translate(_COPY_ESCAPES)


def _json(value: Any) -> str:
    return _json_text(_encode(value).decode())


def _json_text(text: str) -> str:
    return text.replace("\\", "\\\\") if "\\" in text else text  # JSON escapes every other control character


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in name or _holds_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))
