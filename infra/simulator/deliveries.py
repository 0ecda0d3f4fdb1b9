"""How rows of one interface reach the outside: files of two hours or a day, and what goes wrong on the way.

A row may come late or twice, two files may be handed over in the wrong order, a field may be unknown, and some
rows are damaged. It knows no interface but by its description, and must not look into the rows it is given.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from random import Random

import msgspec

from infra.simulator.blemishes import Blemishes
from infra.simulator.files import unknown_field, write_file
from infra.simulator.interfaces import Interface
from infra.simulator.stamps import filename

_MOST_WAITING = 6
_LATE = 0.004
_TWICE = 0.008
_EXTRA = 0.0004
_EXTRA_COLUMN = 0.1
_WITH_BOM = 0.1
_NO_DIGEST = 0.1
_OUT_OF_TURN = 0.03


class Press:
    """Writes files in a thread of its own: compression leaves Python's lock alone."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._writing: deque[tuple[Counter[str], Future[int]]] = deque()

    def write(
        self, counts: Counter[str], path: Path, rows: list[bytes], has_digest: bool, line_end: bytes
    ) -> None:
        """Write a file soon, and add its size to some counts."""
        self._writing.append((counts, self._worker.submit(write_file, path, rows, has_digest, line_end)))
        while len(self._writing) > _MOST_WAITING:
            self._account()

    def _account(self) -> None:
        counts, size = self._writing.popleft()
        counts["bytes"] += size.result()

    def finish(self) -> None:
        """Wait until every file is on disk.

        Raises:
            OSError: A file could not be written.
        """
        while self._writing:
            self._account()
        self._worker.shutdown()


class Delivery:
    """Takes the rows of one interface and writes its files.

    Attributes:
        counts: Files, digests, bytes, rows, late rows, duplicates and rows with an unknown field written.
        bad_rows: Bad rows written by kind.
    """

    def __init__(
        self,
        interface: Interface,
        press: Press | None,
        folder: Path,
        seed: int,
        cut_offs: Sequence[int],
        bad_row_share: float,
    ) -> None:
        """Open a delivery.

        Args:
            interface: Whose rows these are.
            press: Writes the files; None writes nothing.
            folder: Where the files go.
            seed: The same seed and rows give the same files.
            cut_offs: Instants at which its files are closed, in order; what comes after the last is lost.
            bad_row_share: Bad rows beside each good one.
        """
        self.counts: Counter[str] = Counter()
        self.bad_rows: Counter[str] = Counter()
        self._interface = interface
        self._press = press
        self._folder = folder
        self._cut_offs = cut_offs
        self._end = cut_offs[-1] if cut_offs else 0
        self._share = bad_row_share * interface.bad_rows
        self._rng = Random(f"{seed} delivery of {interface.name}")
        self._damage = Blemishes(interface, Random(f"{seed} damage to {interface.name}"))
        self._rows: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
        self._open = 0
        self._held: tuple[int, list[bytes]] | None = None

    def put(self, when: int, row: bytes) -> None:
        """Hand over a row at an instant; it goes into the file of that time or, now and then, a later one."""
        if when >= self._end or self._press is None:
            return
        index = max(bisect_right(self._cut_offs, when), self._open)
        chance = self._rng.random()
        if chance < _LATE + _TWICE + _EXTRA:
            if chance < _LATE:
                index += self._rng.randint(1, 2 if self._interface.is_daily else 16)
                if index >= len(self._cut_offs):
                    return
                self.counts["late"] += 1
            elif chance < _LATE + _TWICE:
                again = index + self._rng.randint(0, 1 if self._interface.is_daily else 6)
                if again < len(self._cut_offs):
                    self._rows[again].append((when, row))
                    self.counts["duplicates"] += 1
            elif not self._interface.is_csv:
                row = row[:-1] + b"," + msgspec.json.encode(unknown_field(self._rng))[1:]
                self.counts["with an unknown field"] += 1
        self._rows[index].append((when, row))

    def close_until(self, when: int) -> None:
        """Write the files that are closed by an instant."""
        while self._open < len(self._cut_offs) and self._cut_offs[self._open] <= when:
            rows = self._rows.pop(self._open, [])
            rows.sort(key=itemgetter(0))
            if rows:
                self._hand_over(self._cut_offs[self._open], [row for _, row in rows])
            self._open += 1
        if self._held is not None and self._open == len(self._cut_offs):
            self._write(*self._held)
            self._held = None

    def _hand_over(self, stamp: int, rows: list[bytes]) -> None:
        """Write a file, or hold it back until the next has gone before it."""
        held, self._held = self._held, None
        if held is None and self._rng.random() < _OUT_OF_TURN:
            self._held = stamp, rows
            return
        self._write(stamp, rows)
        if held is not None:
            self._write(*held)

    def write_whole(self, stamp: int, rows: Iterable[bytes]) -> None:
        """Write a file that is whole in itself, in which no row comes late or twice."""
        if self._press is not None:
            self._write(stamp, list(rows))

    def _write(self, stamp: int, rows: list[bytes]) -> None:
        if self._press is None:
            return
        bad = self._damage.add_bad_rows(rows, self._share)
        self.bad_rows += bad
        self.counts["files"] += 1
        self.counts["rows"] += len(rows)
        if self._interface.is_csv:
            rows = self._as_table(rows)
        name = f"{self._interface.name}_sim_{filename(stamp)}_{self.counts['files']:06d}"
        has_digest = self._rng.random() >= _NO_DIGEST
        self.counts["digests"] += has_digest
        path = self._folder / f"{name}{self._interface.suffix}"
        self._press.write(self.counts, path, rows, has_digest, b"\r\n" if self._interface.is_csv else b"\n")

    def _as_table(self, rows: list[bytes]) -> list[bytes]:
        """Put the header before the rows, with a byte-order mark or a column of no known name in some files."""
        header = ",".join(self._interface.fields).encode()
        if self._interface.is_daily and self._rng.random() < _EXTRA_COLUMN:
            header += b",export_batch"
            batch = f",B{self._rng.randrange(10_000):04d}".encode()
            rows = [row + batch for row in rows]
            self.counts["with an unknown field"] += len(rows)
        return [b"\xef\xbb\xbf" + header if self._rng.random() < _WITH_BOM else header, *rows]
