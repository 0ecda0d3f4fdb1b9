"""Rows on their way to a raw table, as columns of COPY text: no row is a Python object unless somebody asks for it.

What a row says, its hash and its line stay beside each other until they are written, so that nobody has to take a row
apart to look at one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Texts = Any
"""An Arrow array of texts: its stubs know too little of compute functions."""

HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows in the order in which they were read.

    `records` holds the record columns, `served` the serving columns if the interface has any, both as COPY text;
    `hashes` the hexadecimal hash of each record; `lines` the line of the file, from 1.
    """

    records: Texts
    served: Texts | None
    hashes: Texts
    lines: Any

    @staticmethod
    def of(records: Texts, served: Texts | None, lines: Any) -> RawRows:
        """Rows whose hashes are worked out here."""
        return RawRows(records, served, _hashes_of(records), lines)

    @staticmethod
    def of_texts(records: Sequence[str], served: Sequence[str] | None, lines: Sequence[int]) -> RawRows:
        """Rows that were read one by one."""
        behind = None if served is None else pa.array(served, pa.string())
        return RawRows.of(pa.array(records, pa.string()), behind, pa.array(lines, pa.int64()))

    @staticmethod
    def joined(parts: Iterable[RawRows]) -> RawRows:
        """Rows of several parts, one part behind the other."""
        full = [part for part in parts if len(part)]
        if len(full) < 2:
            return full[0] if full else NO_ROWS
        served = [part.served for part in full if part.served is not None]
        return RawRows(
            pa.concat_arrays([part.records for part in full]),
            pa.concat_arrays(served) if served else None,
            pa.concat_arrays([part.hashes for part in full]),
            pa.concat_arrays([part.lines for part in full]),
        )

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def repeat_a_hash(self) -> bool:
        """Whether two rows have one hash, and so are one record."""
        return bool(pc.count_distinct(self.hashes).as_py() < len(self))

    def slice(self, start: int, length: int | None = None) -> RawRows:
        """Some rows that follow one another, without a copy of them."""
        return self._each(lambda column: column.slice(start, length))

    def take(self, places: Sequence[int]) -> RawRows:
        """Some rows, by their places."""
        chosen = pa.array(places, pa.int64())
        return self._each(lambda column: column.take(chosen))

    def _each(self, change: Callable[[Any], Any]) -> RawRows:
        served = None if self.served is None else change(self.served)
        return RawRows(change(self.records), served, change(self.hashes), change(self.lines))

    def numbered(self, lines: Sequence[int]) -> RawRows:
        """The same rows, said to stand on other lines."""
        return RawRows(self.records, self.served, self.hashes, pa.array(lines, pa.int64()))

    def copy_text(self, *behind: Texts) -> memoryview:
        """COPY text of all rows: record, serving columns, hash and line, and what else stands behind them.

        Args:
            behind: Further columns: an array of texts, or one text for all rows.
        """
        return buffer_of(self._joined(*behind))

    def texts(self) -> list[str]:
        """COPY text of each row."""
        texts: list[str] = self._joined().to_pylist()
        return texts

    def _joined(self, *behind: Texts) -> Texts:
        columns = [self.records, self.served, self.hashes, pc.cast(self.lines, pa.string()), *behind]
        parts: list[Texts] = []
        for column in columns:
            if column is not None:
                parts += [column, "\t"]
        return pc.binary_join_element_wise(*parts[:-1], "\n", "")


def buffer_of(texts: Texts) -> memoryview:
    """The bytes of all texts, one behind the other, without a copy of them."""
    offsets, data = _offsets_of(texts), texts.buffers()[2]
    return memoryview(data)[int(offsets[0]) : int(offsets[-1])] if data is not None else memoryview(b"")


def _hashes_of(records: Texts) -> Texts:
    """BLAKE2b of each record, as hexadecimal text. Raw tables hold these values: they never change."""
    count = len(records)
    data = memoryview(records.buffers()[2] or b"")
    digests = b"".join(
        [
            blake2b(data[start:end], digest_size=HASH_BYTES).digest()
            for start, end in pairwise(_offsets_of(records).tolist())
        ]
    )
    width = 2 * HASH_BYTES
    offsets = np.arange(0, width * (count + 1), width, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digests.hex().encode()))


def _offsets_of(texts: Texts) -> Any:
    """Where each text begins in the bytes of all, and where the last one ends."""
    if not len(texts):
        return np.zeros(1, dtype=np.int32)
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)
    return offsets[texts.offset : texts.offset + len(texts) + 1]


NO_ROWS = RawRows.of_texts([], None, [])
