"""Lines of JSON as objects: what is no JSON object, or loses something by being read, is refused line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import msgspec

from ingestion.contract import Contract
from ingestion.findings import RowRefusedError
from ingestion.lines import Line, Lines
from ingestion.privacy import CardWatch, mask

_OPENING, _CLOSING, _RETURN = b"{}\r"
_decode = msgspec.json.Decoder().decode


class JsonLines:
    """Reads the objects of one file, chunk by chunk."""

    reads_apart = True
    """Whether a chunk can be read without those before it."""

    def __init__(self, contract: Contract) -> None:
        """Prepare for files of an interface."""
        self._object_lists = [
            field.name for field in contract.fields if field.items and field.items.kind == "object"
        ]

    def plain(self, lines: Lines, watch: CardWatch) -> Any:
        """Which lines may be read column by column: nothing in them is escaped or searched for.

        Arrow reads objects wherever lines end, and a line of `null` makes it end the process. Of lines that begin and
        end with a brace, each holds whole objects only.
        """
        last = lines.last_bytes()
        ends = (last == _CLOSING) | ((last == _RETURN) & (lines.last_bytes(2) == _CLOSING))
        plain = ends & (lines.first_bytes() == _OPENING)
        plain[list(watch.suspected)] = False
        return plain

    def records(self, lines: Lines, watch: CardWatch, left: Iterable[int]) -> Iterator[Line]:
        """The lines at the indexes `left`, and what they hold. Blank lines are no rows."""
        for index in left:
            text = lines[index]
            if not text or text.isspace():
                continue
            value: dict[str, Any] | RowRefusedError
            try:
                value = self._object(text)
            except RowRefusedError as refused:
                value = refused
            except RecursionError:
                value = RowRefusedError("invalid_json", "the line is nested too deeply")
            yield Line(lines.first_line + index, text, value, index in watch.suspected)

    def finish(self) -> Iterator[Line]:
        """What is left at the end of the file: nothing, because a line holds a whole object."""
        yield from ()

    def _object(self, line: bytes) -> dict[str, Any]:
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
        if line.count(b'":') != names or any(colon in line for colon in (b" :", b"\t:", b"\r:")):
            json.loads(line, object_pairs_hook=_refuse_repeated)
        return value


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise RowRefusedError(
            "repeated_field", f"the field {mask(repeated)[:64]!r} stands twice in one object"
        )
    return dict(pairs)


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
