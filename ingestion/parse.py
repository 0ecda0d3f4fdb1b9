"""Lines of JSON to rows of the raw table in the text form of COPY, and findings for the rows that are refused.

The numbers of callers are replaced and card numbers removed here, so that nothing behind this module ever holds them.
This module opens no file and no connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any, NoReturn

import msgspec

from ingestion.contract import Contract, Field
from ingestion.findings import ROW_RULES, Finding, RowRefusedError
from ingestion.lines import Chunk
from ingestion.privacy import (
    RawTextMask,
    begin_hmac,
    caller_key,
    flatten_digits,
    mask,
    mask_in,
    may_hold_card,
    redact_cards_in,
)
from ingestion.rows import RowReader

RAW_TEXT_CHARACTERS = 4_000
_NULL = r"\N"
_REMEMBERED = 200_000
_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_INDEX = re.compile(r"\[\d+\]")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Parsed:
    """What became of the lines of one chunk.

    `rows` is COPY text: the record columns, `_record_hash` and `_line_number`. `read` counts rows, good and bad.
    """

    rows: list[str] = field(default_factory=list)
    read: int = 0
    findings: list[Finding] = field(default_factory=list)
    unknown_fields: set[str] = field(default_factory=set)
    cards_redacted: int = 0


class Parser:
    """Parses the chunks of one file."""

    def __init__(self, contract: Contract, caller_secret: bytes, now: datetime) -> None:
        """Compile the contract.

        Args:
            contract: The interface.
            caller_secret: Key of the HMAC that replaces callers' numbers.
            now: Clock of the load, aware.
        """
        fields = contract.fields
        self._reader = RowReader(contract, now)
        self._values = attrgetter(*(each.name for each in fields))
        callers = _CallerColumns(caller_secret)
        self._writers = [_writer(each, callers) for each in fields]
        self._object_lists = [each.name for each in fields if each.items and each.items.kind == "object"]
        # Keys stay whatever they look like, because calls would merge without them; callers' numbers go anyway.
        self._not_searched = {each.name for each in fields if each.is_key or each.key_column}
        self._mask_line = RawTextMask(
            personal=[each.name for each in fields if each.key_column],
            public=[each.name for each in fields if each.is_public],
        )

    def parse(self, chunk: Chunk) -> Parsed:
        """Parse the lines of a chunk. Blank lines are no rows."""
        parsed = Parsed()
        if chunk.too_long:
            parsed.read = 1
            too_long = RowRefusedError("line_too_long", "the line is too long")
            parsed.findings.append(self._finding(too_long, chunk.first_line, chunk.data))
            return parsed
        # What can be told of the whole chunk at once is not asked of each line.
        any_spaced_colon = any(colon in chunk.data for colon in (b" :", b"\t:", b"\r:"))
        flattened = flatten_digits(chunk.data)
        all_plain = b"\\" not in chunk.data and chunk.data.isascii()
        any_suspect = may_hold_card(flattened) or not all_plain
        flat_lines = flattened.split(b"\n") if any_suspect else []
        for index, line in enumerate(chunk.data.split(b"\n")):
            if not line or line.isspace():
                continue
            parsed.read += 1
            # Escapes and other alphabets could hide digits from the fast look, and only escapes can bring NUL.
            suspect = any_suspect and (
                may_hold_card(flat_lines[index]) or (not all_plain and (b"\\" in line or not line.isascii()))
            )
            number = chunk.first_line + index
            try:
                value = self._object(line, any_spaced_colon)
                cards = 0
                if suspect:
                    value, cards = self._cleaned(value)
                parsed.rows.append(self._row(value, number, parsed))
                parsed.cards_redacted += cards
            except RowRefusedError as refused:
                parsed.findings.append(self._finding(refused, number, line))
            except RecursionError:
                too_deep = RowRefusedError("invalid_json", "the line is nested too deeply")
                parsed.findings.append(self._finding(too_deep, number, line))
        return parsed

    def _object(self, line: bytes, spaced_colon: bool) -> dict[str, Any]:
        """The JSON object on a line, none of whose names stands twice.

        The decoder keeps the last of two values without a word. So names are counted: with no space before a colon,
        the line holds at least as many `":` as names, and as many only if no name was lost.
        """
        try:
            value = _decode(line)
        except (msgspec.MsgspecError, ValueError) as error:
            _refuse_json(line, error)
        if not isinstance(value, dict):
            raise RowRefusedError("not_an_object", "the line is JSON, but no object")
        names = len(value)
        for name in self._object_lists:
            items = value.get(name)
            if isinstance(items, list):
                names += sum(len(item) for item in items if isinstance(item, dict))
        if spaced_colon or line.count(b'":') != names:
            json.loads(line, object_pairs_hook=_refuse_repeated)
        return value

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
            unknown = mask_in(unknown)
            parsed.unknown_fields.update(_INDEX.sub("[]", path) for path in unknown)
            columns.append(_json_text(json.dumps(unknown, sort_keys=True, ensure_ascii=False)))
        else:
            columns.append(_NULL)
        row = "\t".join(columns)
        return f"{row}\t{blake2b(row.encode(), digest_size=16).hexdigest()}\t{number}\n"

    def _finding(self, refused: RowRefusedError, number: int, line: bytes) -> Finding:
        advice = ROW_RULES.get(refused.rule, ("", "Correct the record and send it again."))[1]
        where = f"{refused.field}: " if refused.field else ""
        return Finding(
            line_number=number,
            field=refused.field,
            rule=refused.rule,
            message=mask(f"{where}{refused.detail}.").replace("\x00", "\\x00") + f" {advice}",
            raw_text=self._mask_line(line, RAW_TEXT_CHARACTERS),
        )


class _CallerColumns(dict[str | None, str]):
    """The two columns that replace a caller's number, remembered because callers call again."""

    def __init__(self, secret: bytes) -> None:
        super().__init__()
        self._secret = begin_hmac(secret)

    def __missing__(self, number: str | None) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        key, reason = caller_key(number, self._secret)
        columns = self[number] = f"{key or _NULL}\t{reason or _NULL}"
        return columns


def _writer(of: Field, callers: _CallerColumns) -> Callable[[Any], str]:
    """How a value of a field is written as COPY text."""
    if of.key_column:
        return callers.__getitem__
    write: dict[str, Callable[[Any], str]] = {
        "string": str if of.choices else _text,
        "timestamp": str,
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


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise RowRefusedError("repeated_field", f"the field {repeated[:64]!r} stands twice in one object")
    return dict(pairs)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in name or _holds_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def _refuse_json(line: bytes, error: Exception) -> NoReturn:
    """Say why a line is not JSON that can be kept. A second reader knows more than the fast one tells."""

    def not_finite(constant: str) -> NoReturn:
        raise RowRefusedError("not_finite", f"a number is {constant}")

    try:
        json.loads(line.decode("utf-8"), parse_constant=not_finite)
    except UnicodeDecodeError as wrong:
        raise RowRefusedError("not_utf8", f"byte {wrong.start + 1} of the line is not UTF-8") from None
    except json.JSONDecodeError as wrong:
        raise RowRefusedError("invalid_json", f"at character {wrong.colno}: {wrong.msg}") from None
    except ValueError:
        raise RowRefusedError("not_finite", "a number has too many digits") from None
    if "out of range" in str(error):
        raise RowRefusedError("not_finite", "a number is beyond what a double holds") from None
    raise RowRefusedError("invalid_text", "a text holds half of a surrogate pair") from None
