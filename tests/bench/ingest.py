"""How fast files become raw rows, against a plain COPY of the same rows into an equal table in the same run."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.postgres import connect
from infra.settings import Settings
from ingestion.run import ingest

_START = datetime(2026, 1, 5, 8, tzinfo=UTC)


@dataclass(frozen=True)
class IngestBench:
    """Rows per second, the best round of each."""

    rows: int
    rounds: int
    bytes_per_row: float
    ingested_per_second: float
    copied_per_second: float

    @property
    def ratio(self) -> float:
        """Share of the speed of plain COPY."""
        return self.ingested_per_second / self.copied_per_second

    def as_text(self) -> str:
        """The result in plain English."""
        return (
            f"File to raw, {self.rows:,} telephony_call records of {self.bytes_per_row:.0f} bytes, best of "
            f"{self.rounds}: {self.ingested_per_second:,.0f} rows/s parsed, validated, hashed and loaded exactly once; "
            f"plain COPY of the same rows {self.copied_per_second:,.0f} rows/s; ratio {self.ratio:.2f}."
        )


def bench_ingest(settings: Settings, folder: Path, rows: int = 100_000, rounds: int = 3) -> IngestBench:
    """Measure.

    Args:
        settings: An instance whose warehouse is migrated and holds nothing: rows are left in it.
        folder: Where the files are written to.
        rows: Rows of each file.
        rounds: Files; both tables grow alike from round to round.
    """
    ingested, copied, size = [], [], 0
    with connect(settings, autocommit=True) as connection:
        if connection.execute("select exists (select from ops.files)").fetchone() != (False,):
            raise RuntimeError("The warehouse of a benchmark must be empty.")
        for number in range(1, rounds + 1):
            path = folder / f"telephony_call_bench_20260201T000000Z_{number}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in records(rows, seed=number))
            size += path.stat().st_size
            started = time.perf_counter()
            summary = ingest(settings, "telephony_call", str(path))
            ingested.append(time.perf_counter() - started)
            assert summary.counts.loaded == rows, summary.as_text()
            if number == 1:
                connection.execute("create table raw.plain_copy (like raw.telephony_call including all)")
            one_file = f"select * from raw.telephony_call where _file_id = {summary.outcomes[0].file_id}"
            with connection.cursor().copy(f"copy ({one_file}) to stdout") as copy:
                blocks = [bytes(block) for block in copy]
            started = time.perf_counter()
            with connection.cursor().copy("copy raw.plain_copy from stdin") as copy:
                for first in range(0, len(blocks), 2_000):
                    copy.write(b"".join(blocks[first : first + 2_000]))
            copied.append(time.perf_counter() - started)
        connection.execute("drop table raw.plain_copy")
    return IngestBench(rows, rounds, size / rows / rounds, rows / min(ingested), rows / min(copied))


def records(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Plausible calls with one leg or two, most of them new callers. The same seed gives the same records."""
    choose = random.Random(seed)
    for number in range(count):
        received = _START + timedelta(milliseconds=1_500 * number)
        at = queued = received + timedelta(milliseconds=choose.randint(20_000, 90_000))
        legs = []
        for leg_no in range(1, choose.choices((2, 3), (85, 15))[0]):
            answered = at + timedelta(milliseconds=choose.randint(0, 120_000))
            left = answered + timedelta(milliseconds=choose.randint(30_000, 900_000))
            legs.append(
                {
                    "leg_no": leg_no,
                    "queue": choose.choice(("PAL_GENERAL", "ABI_GENERAL", "PAL_2ND")),
                    "queued_at": _text(at),
                    "answered_at": _text(answered),
                    "left_at": _text(left),
                    "agent_id": f"agent-{choose.randint(1, 300):04d}",
                    "hold_seconds": choose.randint(0, 60),
                    "wrap_seconds": round(choose.random() * 90, 1),
                    "end_reason": "completed",
                    "transfer_to": None,
                    "transfer_mode": None,
                    "reason_codes": [f"R{choose.randint(1, 30):02d}"],
                }
            )
            at = left
        yield {
            "call_id": str(uuid.UUID(int=choose.getrandbits(128))),
            "record_version": 1,
            "emitted_at": _text(at + timedelta(seconds=60)),
            "is_test": False,
            "dialled_number": f"+44163296000{choose.randint(1, 4)}",
            "caller_number": choose.choice((f"07700 9{choose.randint(0, 99_999):05d}", None)),
            "language": "en",
            "received_at": _text(received),
            "ivr_ended_at": _text(queued),
            "ivr_outcome": "queued",
            "ivr_path": ["MAIN", "PASSPORT", "STATUS"],
            "legs": legs,
            "ended_at": _text(at),
        }


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"
