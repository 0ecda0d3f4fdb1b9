"""Rows of a CSV file (RFC 4180) as objects, keyed by the header.

A quote that is never closed must not swallow the rows behind it, as it does in most readers: a record ends at the
first line with which its quotes are even, and if what was joined is no record, only its first line is refused and
reading goes on with the second.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ingestion.contract import Contract, Field
from ingestion.findings import FileRefusedError, RowRefusedError
from ingestion.lines import BOM, Line, Lines
from ingestion.privacy import CardWatch

MAX_LINES_OF_RECORD = 100

csv.field_size_limit(1 << 30)  # how long a text may be is for the contract to say

_QUOTE, _TAB, _RETURN, _SPACE, _ASCII = b'"\t\r \x7f'
_WHOLE = re.compile(r"-?\d{1,40}", re.ASCII)  # the contract says which are too great
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)


class CsvRows:
    """Reads the rows of one file, chunk by chunk."""

    reads_apart = False
    """Whether a chunk can be read without those before it: a cell may reach over the end of one."""

    def __init__(self, contract: Contract) -> None:
        """Prepare for one file of an interface."""
        self._contract = contract
        self._names: list[str] = []
        self._header_line = 0
        self._readers: list[Callable[[str], Any]] = []
        self._held: deque[tuple[int, bytes, bool]] = deque()

    @property
    def knows_all_columns(self) -> bool:
        """Whether the header holds no column that the contract does not know."""
        return set(self._names) <= {field.name for field in self._contract.fields}

    @property
    def names(self) -> list[str]:
        """Names of the columns as the header gives them; empty before it was read."""
        return self._names

    def plain(self, lines: Lines, watch: CardWatch) -> Any:
        """Which lines may be read column by column: rows by themselves, without a quote."""
        plain = np.zeros(len(lines), dtype=bool)
        if not self._names or self._held or not self.knows_all_columns:
            return plain
        quotes = lines.holding(np.flatnonzero(lines.bytes == _QUOTE)) if b'"' in lines.data else []
        if len(quotes) and np.any(np.bincount(quotes) % 2):
            return plain
        plain[max(0, self._header_line + 1 - lines.first_line) :] = True
        plain[quotes] = False
        if b"\t" in lines.data:
            plain[lines.holding(np.flatnonzero(lines.bytes == _TAB))] = False
        if b"\r" in lines.data:
            returns = np.flatnonzero(lines.bytes == _RETURN)
            of_lines = lines.holding(returns)
            plain[of_lines[returns + 1 < lines.ends[of_lines]]] = False
        first = lines.first_bytes()
        for index in np.flatnonzero((first <= _SPACE) | (first > _ASCII)).tolist():
            text = lines[index]
            # A mark of the encoding is one only where a file begins; a reader of a piece of one would skip it.
            if not text or text.isspace() or text.startswith(BOM):
                plain[index] = False
        plain[list(watch.suspected)] = False
        return plain

    def records(self, lines: Lines, watch: CardWatch, left: Iterable[int]) -> Iterator[Line]:
        """The rows that end in the lines at the indexes `left`. Blank lines are no rows."""
        if not self._names:
            return
        for index in left:
            number = lines.first_line + index
            if number == self._header_line:
                continue
            text = lines[index]
            suspect = index in watch.suspected
            if not self._held and b'"' not in text:
                if text and not text.isspace():
                    yield self._row(number, [text], suspect)
                continue
            self._held.append((number, text, suspect))
            yield from self._drain(at_end=False)

    def finish(self) -> Iterator[Line]:
        """What is left at the end of the file: lines in which a quote was opened and never closed."""
        yield from self._drain(at_end=True)

    def read_header(self, lines: Lines) -> None:
        """Read the header, if this is the first chunk that is not blank.

        Raises:
            FileRefusedError: The header is not one of this interface.
        """
        if self._names:
            return
        for index in range(len(lines)):
            text = lines[index]
            if text and not text.isspace():
                self._header_line = lines.first_line + index
                self._read_header(text)
                return

    def _read_header(self, text: bytes) -> None:
        try:
            [names] = csv.reader([text.removesuffix(b"\r").decode("utf-8")], strict=True)
        except (csv.Error, UnicodeDecodeError, ValueError):
            names = []
        known = {field.name: field for field in self._contract.fields}
        missing = [
            field.name for field in self._contract.fields if field.required and field.name not in names
        ]
        twice = sorted({name for name in names if name in known and names.count(name) > 1})
        if missing or twice or len(set(names)) < len(names) or any("\x00" in name for name in names):
            problem = (
                f"lacks {', '.join(missing)}" if missing else f"holds {', '.join(twice) or 'a name'} twice"
            )
            if any("\x00" in name for name in names):
                problem = "holds a NUL character"
            raise FileRefusedError("wrong_header", f"The header {problem}.")
        self._names = names
        self._readers = [_reader(known.get(name)) for name in names]

    def _drain(self, *, at_end: bool) -> Iterator[Line]:
        """Take whole records from the lines that are held."""
        held = self._held
        while held:
            lines = self._record_lines()
            if lines == 0 and not at_end and len(held) < MAX_LINES_OF_RECORD:
                return
            number, first, suspect = held[0]
            if lines:
                # A card number may stand in a later line, or reach over the end of one: no look by line finds it.
                row = self._row(number, [text for _, text, _ in list(held)[:lines]], suspect or lines > 1)
                if lines == 1 or not isinstance(row.value, RowRefusedError):
                    for _ in range(lines):
                        held.popleft()
                    if lines > 1 or row.text.strip():
                        yield row
                    continue
            held.popleft()
            refused = RowRefusedError("unterminated_quote", "a quote is opened and not closed")
            yield Line(number, first, refused, suspect)

    def _record_lines(self) -> int:
        """How many of the held lines make up the first record; 0 if its end is not among them."""
        quotes = 0
        for count, (_, text, _) in enumerate(self._held, start=1):
            quotes += text.count(b'"')
            if quotes % 2 == 0:
                return count
        return 0

    def _row(self, number: int, lines: list[bytes], suspect: bool) -> Line:
        joined = b"\n".join(lines).removesuffix(b"\r")
        try:
            return Line(number, joined, self._value(joined), suspect)
        except RowRefusedError as refused:
            return Line(number, joined, refused, suspect)

    def _value(self, joined: bytes) -> dict[str, Any]:
        try:
            text = joined.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise RowRefusedError("not_utf8", f"byte {wrong.start + 1} of the row is not UTF-8") from None
        cells = text.split(",") if '"' not in text and "\r" not in text else _quoted(text)
        if len(cells) != len(self._names):
            raise RowRefusedError(
                "ragged_row", f"the row has {len(cells)} cells and the header {len(self._names)}"
            )
        return {
            name: read(cell)
            for name, read, cell in zip(self._names, self._readers, cells, strict=True)
            if cell
        }


def cells_of(text: str) -> list[str] | None:
    """The cells of a row, or None if it is no CSV."""
    try:
        return _quoted(text)
    except RowRefusedError:
        return None


def _quoted(text: str) -> list[str]:
    try:
        [cells] = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise RowRefusedError("invalid_csv", "quotes or line ends are not as RFC 4180 says") from None
    # The reader takes a quote within an unquoted cell as a character; the standard has no such thing.
    enclosing = text.count('"') - 2 * sum(cell.count('"') for cell in cells)
    if not 0 <= enclosing <= 2 * len(cells):
        raise RowRefusedError("invalid_csv", "a quote stands in a cell that is not quoted")
    return cells


def _reader(field: Field | None) -> Callable[[str], Any]:
    """How a cell becomes a value. One of another type stays a text, and is refused as such."""
    match field.kind if field else "string":
        case "integer":
            return lambda cell: int(cell) if _WHOLE.fullmatch(cell) else cell
        case "number":
            return lambda cell: float(cell) if _NUMBER.fullmatch(cell) else cell
        case "boolean":
            return lambda cell: {"true": True, "false": False}.get(cell, cell)
    return str
