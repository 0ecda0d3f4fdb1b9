"""A file's bytes as chunks of numbered lines, in constant memory, whatever the file holds.

Here is decided that a file is cut off, in a wrong encoding or too large. What a line says is not looked at.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ingestion.findings import FileNotReadyError, FileRefusedError, RowRefusedError

BLOCK_BYTES = 2 << 20
MAX_LINE_BYTES = 16 << 20
KEPT_OF_LONG_LINE = 8_192
MAX_UNPACKED_BYTES = 64 << 30
MAX_RATIO = 250
RATIO_COUNTS_FROM_BYTES = 64 << 20

_LINE_END = 0x0A
BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_OTHER_FORMATS = (
    (b"<", "The file begins with '<', as a web page or an XML file does."),
    (b"\x1f\x8b", "The file is gzip under a name that does not end in .gz."),
    (b"PK\x03\x04", "The file is a zip file."),
    (b"%PDF", "The file is a PDF file."),
    (b"[", "The file begins with '[', as one JSON array does."),
)

_Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines without their last line end, the first of them numbered `first_line`, from 1.

    `too_long` marks one single line beyond MAX_LINE_BYTES, of which `data` holds only the beginning; `unended` the
    last line of a file that does not end with a line end.
    """

    first_line: int
    data: bytes
    too_long: bool = False
    unended: bool = False


class Lines:
    """The lines of a chunk by their index from 0, told apart without a copy of any."""

    def __init__(self, data: bytes, first_line: int = 1) -> None:
        """Find where lines end; the first one is `first_line` of the file."""
        self.data = data
        self.first_line = first_line
        self.bytes: Any = np.frombuffer(data, dtype=np.uint8)
        breaks = np.flatnonzero(self.bytes == _LINE_END)
        self.starts: Any = np.concatenate(([0], breaks + 1))
        self.ends: Any = np.concatenate((breaks, [len(data)]))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.ends[index]]

    def holding(self, positions: Any) -> Any:
        """Indexes of the lines that bytes at rising positions stand in, each as often as it has such bytes."""
        return np.searchsorted(self.ends, positions)

    def text_of(self, indexes: Any) -> bytes:
        """The text of some lines in their order, with a line end between any two."""
        if len(indexes) == len(self):
            return self.data
        breaks = (
            np.flatnonzero(np.diff(indexes) != 1) + 1
        )  # lines that follow one another are one piece of text
        return b"\n".join(
            self.data[self.starts[run[0]] : self.ends[run[-1]]]
            for run in np.split(indexes, breaks)
            if len(run)
        )

    def first_bytes(self) -> Any:
        """The first byte of each line, 0 of an empty one."""
        return self._bytes_at(self.starts)

    def last_bytes(self, back: int = 1) -> Any:
        """The last byte of each line, or the one so many bytes before its end; 0 where there is none."""
        return self._bytes_at(self.ends - back)

    def _bytes_at(self, places: Any) -> Any:
        there = (places >= self.starts) & (places < self.ends)
        found = np.zeros(len(self), dtype=np.uint8)
        found[there] = self.bytes[places[there]]
        return found


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file: its line from 1, its text, and the object that it holds or why it is refused.

    `is_suspect` marks one that must be searched for card numbers.
    """

    number: int
    text: bytes
    value: dict[str, Any] | RowRefusedError
    is_suspect: bool


def chunks_of(file: BinaryIO, *, packed: bool) -> Iterator[Chunk]:
    """Read a file from its start.

    Args:
        file: The bytes as they were sent.
        packed: They are gzip.

    Raises:
        FileRefusedError: It is empty, in another encoding than UTF-8, or too large when unpacked.
        FileNotReadyError: The gzip does not end well.
    """
    return _chunks(_reader(file, packed=packed))


def blocks_of(file: BinaryIO, *, packed: bool) -> Iterator[bytes]:
    """The bytes of a file in blocks, as `chunks_of` reads them; raises what it raises."""
    read = _reader(file, packed=packed)
    while block := read(BLOCK_BYTES):
        yield block


def other_format(file: BinaryIO, *, packed: bool) -> str | None:
    """What a file that holds no good row seems to be instead of JSON Lines, in a sentence; None if nothing known."""
    start = _reader(file, packed=packed)(BLOCK_BYTES).removeprefix(BOM).lstrip()
    return next((message for mark, message in _OTHER_FORMATS if start.startswith(mark)), None)


def _reader(file: BinaryIO, *, packed: bool) -> _Read:
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise FileRefusedError("empty_file", "The file has 0 bytes.")
    return _unpacking(file, size) if packed else file.read


def _unpacking(file: BinaryIO, size: int) -> _Read:
    unpacked = gzip.GzipFile(fileobj=file, mode="rb")
    total = 0

    def read(count: int) -> bytes:
        nonlocal total
        try:
            block = unpacked.read(count)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileNotReadyError(
                "cut_off", f"The gzip does not end well after {total} bytes: {error}."
            ) from None
        total += len(block)
        if total > MAX_UNPACKED_BYTES or (total > RATIO_COUNTS_FROM_BYTES and total > MAX_RATIO * size):
            raise FileRefusedError(
                "unpacked_too_large", f"{size} bytes unpack to more than {total}: reading stopped there."
            )
        return block

    return read


def _chunks(read: _Read) -> Iterator[Chunk]:
    start = read(BLOCK_BYTES)
    if not start:
        raise FileRefusedError("empty_file", "The file unpacks to 0 bytes.")
    if start.startswith(_OTHER_ENCODINGS):
        raise FileRefusedError("wrong_encoding", "The file begins with the mark of UTF-16 or UTF-32.")
    line, rest, block = 1, b"", start.removeprefix(BOM)
    while block:
        data, rest = _whole_lines(rest, block)
        if data is not None:
            yield Chunk(line, data)
            line += data.count(b"\n") + 1
        elif len(rest) > MAX_LINE_BYTES:
            yield Chunk(line, rest[:KEPT_OF_LONG_LINE], too_long=True)
            line += 1
            rest = _after_line_end(read)
        block = read(BLOCK_BYTES)
    if rest:
        yield Chunk(line, rest, unended=True)


def _whole_lines(rest: bytes, block: bytes) -> tuple[bytes | None, bytes]:
    """The text up to the last line end, None if there is none, and what stands behind it."""
    end = block.rfind(b"\n")
    if end >= 0:
        return b"".join((rest, memoryview(block)[:end])), block[end + 1 :]
    rest += block
    end = rest.rfind(b"\n")  # behind a line that was too long may stand whole ones
    return (rest[:end], rest[end + 1 :]) if end >= 0 else (None, rest)


def _after_line_end(read: _Read) -> bytes:
    """Read on to the next line end, and return what was read behind it."""
    while block := read(BLOCK_BYTES):
        end = block.find(b"\n")
        if end >= 0:
            return block[end + 1 :]
    return b""
