"""Chunks of a file to rows of the raw table in the text form of COPY, and findings for the rows that are refused.

The numbers and addresses of customers are replaced and card numbers removed here, so that nothing behind this module
ever holds them. This module opens no file and no connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec

from ingestion.columnar import ColumnReader
from ingestion.contract import Contract, Field
from ingestion.csv_rows import CsvRows
from ingestion.findings import ROW_RULES, Finding, RowRefusedError
from ingestion.json_lines import JsonLines
from ingestion.lines import Chunk, Line
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
)
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

    `rows` is COPY text: the record columns, the serving columns, `_record_hash` and `_line_number`. `read` counts
    rows, good and bad.
    """

    rows: list[str] = field(default_factory=list)
    read: int = 0
    findings: list[Finding] = field(default_factory=list)
    unknown_fields: set[str] = field(default_factory=set)
    cards_redacted: int = 0


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
            ).__getitem__
            for each in kept
            if each.key_column
        }
        self._writers = [keys.get(each.name) or _plain_writer(each) for each in kept]
        self._columns = ColumnReader(contract, keys, Instants(now)) if columnwise else None
        serving = [column.field for column in contract.serving_columns if column.field]
        self._serving_values = _getter(serving)
        self._serving_writers = [_plain_writer(each) for each in serving]
        # Keys, and what refers to them, stay whatever they look like: records would merge and links break without
        # them. Keyed values go anyway.
        self._not_searched = {each.name for each in fields if each.is_identifier or each.key_column}
        self._not_kept = tuple(each.name for each in fields if each.treatment == "not_kept")
        self._names_people = any(each.treatment == "identity" for each in fields)

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
        watch = CardWatch(chunk.data)
        if isinstance(self._format, CsvRows):
            self._format.read_header(chunk)
        done = self._columnwise(chunk, watch)
        parsed = self._parse(self._format.records(chunk, watch, done.keys()))
        if done:
            rows = [(chunk.first_line + index, row) for index, row in done.items()]
            parsed.rows += [f"{row}\t{number}\n" for number, row in rows]
            parsed.read += len(rows)
        return parsed

    def _columnwise(self, chunk: Chunk, watch: CardWatch) -> dict[int, str]:
        """Rows of the lines, by index, that could be read column by column."""
        if self._columns is None:
            return {}
        plain = self._format.plain(chunk, watch)
        if not plain:
            return {}
        lines = [text for _, text in plain]
        if isinstance(self._format, CsvRows):
            rows = self._columns.read_csv(self._format.names, lines)
        else:
            rows = self._columns.read_json(lines)
        return {index: row for (index, _), row in zip(plain, rows, strict=True) if row is not None}

    def finish(self) -> Parsed:
        """Parse what is left at the end of the file."""
        return self._parse(self._format.finish())

    def _parse(self, lines: Iterable[Line]) -> Parsed:
        parsed = Parsed()
        for line in lines:
            parsed.read += 1
            value = line.value
            try:
                if isinstance(value, RowRefusedError):
                    raise value
                cards = 0
                if line.is_suspect:
                    value, cards = self._cleaned(value)
                parsed.rows.append(self._row(value, line.number, parsed))
                parsed.cards_redacted += cards
            except RowRefusedError as refused:
                parsed.findings.append(self._finding(refused, line.number, line.text))
            except RecursionError:
                too_deep = RowRefusedError("invalid_json", "the line is nested too deeply")
                parsed.findings.append(self._finding(too_deep, line.number, line.text))
        return parsed

    def _cleaned(self, value: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The object without card numbers, and how many there were; refused if any text in it holds a NUL."""
        if _holds_nul(value):
            raise RowRefusedError("invalid_text", "a text holds a NUL character")
        kept = {name: inner for name, inner in value.items() if name in self._not_searched}
        searched = {name: inner for name, inner in value.items() if name not in self._not_searched}
        cleaned, found = redact_cards_in(searched)
        return {**kept, **cleaned}, found

    def _row(self, value: dict[str, Any], number: int, parsed: Parsed) -> str:
        record, unknown = self._reader.read(value)
        columns = [write(each) for write, each in zip(self._writers, self._values(record), strict=True)]
        if unknown:
            unknown = self._hidden_in(unknown)
            parsed.unknown_fields.update(_INDEX.sub("[]", path)[:REPORTED_CHARACTERS] for path in unknown)
            columns.append(_json_text(json.dumps(unknown, sort_keys=True, ensure_ascii=False)))
        else:
            columns.append(_NULL)
        row = "\t".join(columns)
        digest = blake2b(row.encode(), digest_size=16).hexdigest()
        if self._serving_writers:
            values = zip(self._serving_writers, self._serving_values(record), strict=True)
            row = "\t".join([row, *(write(each) for write, each in values)])
        return f"{row}\t{digest}\t{number}\n"

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
    """The columns that replace a number, an address or a reference, remembered because customers come again."""

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
        columns = self[value] = f"{key or _NULL}\t{reason or _NULL}" if self._with_reason else key or _NULL
        return columns


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
