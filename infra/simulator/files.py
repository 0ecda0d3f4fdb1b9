"""How records of calls reach the outside: a file every two hours, some records late or twice, and some rows damaged.

A file is written under a name that ends in `.part` and renamed when it is whole; its digest, where one is
given, is there before it. Delivering a file again under its own name would change nothing on disk, so that is
left out.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter, defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from infra.simulator.calls import Call
from infra.simulator.damage import CallDamage
from infra.simulator.opening import HOUR, SECOND
from infra.simulator.records import render
from infra.simulator.stamps import filename

_WINDOW = 2 * HOUR
_MOST_WAITING = 3
_LATE = 0.004
_TWICE = 0.008
_EXTRA = 0.0004
_LOCAL_TIME = 0.2
_NO_DIGEST = 0.1


class Outbox:
    """Takes calls to be sent and writes the files.

    Attributes:
        counts: Files, digests, bytes, rows, late rows, duplicates and rows with an unknown field written.
        versions: Rows written by version, duplicates apart.
        bad_rows: Bad rows written by kind.
        sent: Identifiers of the calls of which at least one row was written.
    """

    def __init__(self, folder: Path | None, seed: int, start: int, end: int, bad_row_share: float) -> None:
        """Open an outbox for what is emitted from `start` until before `end`, instants in microseconds.

        Without a folder nothing is written.
        """
        self.counts: Counter[str] = Counter()
        self.versions: Counter[int] = Counter()
        self.bad_rows: Counter[str] = Counter()
        self.sent: set[str] = set()
        self._folder = folder
        self._end = end
        self._share = bad_row_share
        self._rng = Random(f"{seed} outbox")
        self._damage = CallDamage(seed)
        self._window = start // _WINDOW
        self._rows: defaultdict[int, list[bytes]] = defaultdict(list)
        # Compression leaves Python's lock alone, so one thread beside the simulation uses the second core.
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._writing: deque[Future[int]] = deque()

    @property
    def cut_off(self) -> int:
        """Instant at which the file now being filled is closed, in microseconds."""
        return min((self._window + 1) * _WINDOW, self._end)

    def send(self, call: Call, now: int) -> None:
        """Write the next version of a call, as it stands, into the file of its time or a later one."""
        if self._folder is None:
            return
        call.versions += 1
        rng = self._rng
        # A later version is emitted later, by a millisecond at least, because some nodes write no more.
        emitted_at = max(now + rng.randrange(80_000, 3 * SECOND), call.emitted_at + 1000)
        call.emitted_at = emitted_at
        extra = unknown_field(rng) if rng.random() < _EXTRA else None
        row = render(call, local_time=rng.random() < _LOCAL_TIME, extra=extra)
        delay = rng.randint(1, 16) if rng.random() < _LATE else 0
        again = rng.randint(0, 6) if rng.random() < _TWICE else None
        if emitted_at >= self._end:
            return
        window = emitted_at // _WINDOW + delay
        if self._put(window, row):
            self.sent.add(call.call_id)
            self.versions[call.versions] += 1
            self.counts["late"] += delay > 0
            self.counts["with an unknown field"] += extra is not None
            if again is not None:
                self.counts["duplicates"] += self._put(window + again, row)

    def _put(self, window: int, row: bytes) -> bool:
        """Add a row to a file, unless that file would be closed after the end; say whether it was added."""
        if window * _WINDOW >= self._end:
            return False
        self._rows[window].append(row)
        return True

    def close_file(self) -> bool:
        """Write the file that is being filled, unless it is empty, and say whether another follows."""
        rows, cut_off = self._rows.pop(self._window, []), self.cut_off
        if rows and self._folder is not None:
            self.bad_rows += self._damage.add_bad_rows(rows, self._share)
            self.counts["files"] += 1
            self.counts["rows"] += len(rows)
            path = (
                self._folder / f"telephony_call_sim_{filename(cut_off)}_{self.counts['files']:06d}.jsonl.gz"
            )
            has_digest = self._rng.random() >= _NO_DIGEST
            self.counts["digests"] += has_digest
            self._writing.append(self._worker.submit(write_file, path, rows, has_digest))
        while len(self._writing) > _MOST_WAITING:
            self._account()
        self._window += 1
        return cut_off < self._end

    def _account(self) -> None:
        self.counts["bytes"] += self._writing.popleft().result()

    def finish(self) -> None:
        """Wait until every file is on disk.

        Raises:
            OSError: A file could not be written.
        """
        while self._writing:
            self._account()
        self._worker.shutdown()


def unknown_field(rng: Random) -> dict[str, Any]:
    """Draw a field that no interface knows."""
    return rng.choice(
        ({"trunk": f"T{rng.randint(1, 8)}"}, {"voice_quality": round(rng.uniform(2.5, 4.5), 2)})
    )


def write_file(path: Path, rows: list[bytes], has_digest: bool, line_end: bytes = b"\n") -> int:
    """Write one file of rows, and its digest first; give its size in bytes."""
    packed = gzip.compress(line_end.join(rows) + line_end, compresslevel=2, mtime=0)
    if has_digest:
        digest = f"{hashlib.sha256(packed).hexdigest()}  {path.name}\n"
        _write_whole(path.with_name(f"{path.name}.sha256"), digest.encode())
    _write_whole(path, packed)
    return len(packed)


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
