"""How fast files become raw rows: against a plain COPY of the same rows in the same run, and against a peer.

And how much memory that takes, from few rows to many.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.postgres import connect, warehouse_url
from infra.settings import CHECKOUT, Settings
from ingestion.contract import load_contract
from ingestion.run import ingest
from tests.bench.records import RECORDS, write

PEER = CHECKOUT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class IngestBench:
    """Rows per second of one interface, the best round of each; the peer's is None where it is not installed."""

    interface: str
    rows: int
    bytes_per_row: float
    ingested: float
    copied: float
    peer: float | None

    def as_text(self) -> str:
        """The result in plain English."""
        against_peer = (
            f"dlt {self.peer:,.0f} rows/s, {self.ingested / self.peer:.1f} times less"
            if self.peer
            else "dlt is not installed"
        )
        return (
            f"{self.interface}, {self.rows:,} rows of {self.bytes_per_row:.0f} bytes: {self.ingested:,.0f} rows/s "
            f"from file to raw; plain COPY {self.copied:,.0f} rows/s, ratio {self.ingested / self.copied:.2f}; "
            f"{against_peer}."
        )


def bench_ingest(settings: Settings, folder: Path, rows: int, rounds: int = 3) -> list[IngestBench]:
    """Measure each of the interfaces in turn.

    Args:
        settings: An instance whose warehouse is migrated and holds nothing: rows are left in it.
        folder: Where the files are written to.
        rows: Rows of each file.
        rounds: Files of each interface; all tables grow alike from round to round.
    """
    return [_bench(settings, folder, interface, rows, rounds) for interface in RECORDS]


def _bench(settings: Settings, folder: Path, interface: str, rows: int, rounds: int) -> IngestBench:
    contract = load_contract(interface)
    ingested, copied, peer, size = [], [], [], 0
    with connect(settings, autocommit=True) as connection:
        for number in range(1, rounds + 1):
            path = write(folder, interface, rows, seed=number)
            size += path.stat().st_size
            started = time.perf_counter()
            summary = ingest(settings, interface, str(path))
            ingested.append(time.perf_counter() - started)
            assert summary.counts.loaded + summary.counts.unchanged == rows, summary.as_text()
            if number == 1:
                connection.execute(f"create table raw.plain_copy (like {contract.raw_table} including all)")
            is_extract = contract.record_kind == "snapshot"
            which = "_until_position is null" if is_extract else f"_file_id = {summary.outcomes[0].file_id}"
            one_file = f"select * from {contract.raw_table} where {which}"
            with connection.cursor().copy(f"copy ({one_file}) to stdout") as copy:
                blocks = [bytes(block) for block in copy]
            started = time.perf_counter()
            if is_extract:
                connection.execute("truncate raw.plain_copy")
            with connection.cursor().copy("copy raw.plain_copy from stdin") as copy:
                for first in range(0, len(blocks), 2_000):
                    copy.write(b"".join(blocks[first : first + 2_000]))
            copied.append(time.perf_counter() - started)
            if PEER.exists():
                peer.append(_peer_seconds(settings, folder, path))
            path.unlink()
        connection.execute("drop table raw.plain_copy")
    return IngestBench(
        interface,
        rows,
        size / rows / rounds,
        rows / min(ingested),
        rows / min(copied),
        rows / min(peer) if peer else None,
    )


def _peer_seconds(settings: Settings, folder: Path, path: Path) -> float:
    url = warehouse_url(settings).set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [str(PEER), str(Path(__file__).with_name("peer_dlt.py")), str(path), url, str(folder / "dlt")],
        env={**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout.split()[-1])


_LOAD = """
import resource, sys
from infra.settings import load_settings
from ingestion.run import ingest
summary = ingest(load_settings(), sys.argv[1], sys.argv[2])
print(summary.counts.loaded, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bench_memory(
    fresh: Callable[[str], Settings], folder: Path, sizes: list[int], report: Callable[[str], object]
) -> None:
    """Load a file of each size in a process of its own, and say how much memory that took at most.

    Args:
        fresh: Makes an empty warehouse of a name, and points CONTACTBI_DATABASE_URL to it.
        folder: Where the files are written to, one at a time.
        sizes: Rows.
        report: Called with a line for each.
    """
    for interface in RECORDS:
        for rows in sizes:
            fresh(f"memory_{interface}_{rows}")
            path = write(folder, interface, rows, seed=1)
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _LOAD, interface, str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds = time.perf_counter() - started
            loaded, kilobytes = map(int, done.stdout.split()[-2:])
            assert loaded == rows, done.stdout
            size = path.stat().st_size >> 20
            path.unlink()
            report(
                f"{interface}, {rows:,} rows ({size:,} MiB): {kilobytes >> 10:,} MiB of memory at most, "
                f"{rows / seconds:,.0f} rows/s."
            )
