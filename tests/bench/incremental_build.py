"""How long a build takes that adds one new file, with a month and with a year of history behind it.

The twelve files of one day are added to both, one by one, with a build after each: the two differ in their history
alone. The first build after a full one finds nothing in memory that it needs, as no later one does; a day of them
tells what people wait for.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from infra.postgres import connect, warehouse_url
from infra.settings import Settings
from infra.simulator import simulate
from ingestion.run import ingest
from transformation.build import build

LAST_DAY = date(2026, 10, 30)  # a Friday
_FILES_OF_A_DAY = 12
_FILES_OF_A_WEEK = 7 * _FILES_OF_A_DAY


@dataclass(frozen=True)
class BuildBench:
    """Seconds of a build over `days` of history: the whole, and then for each new file of a day."""

    days: int
    calls: int
    full_seconds: float
    added_seconds: tuple[float, ...]

    @property
    def median_seconds(self) -> float:
        """Seconds of a build for one new file, the median of the day."""
        return statistics.median(self.added_seconds)

    def as_text(self) -> str:
        """The result in plain English."""
        return (
            f"Build with {self.days} days and {self.calls:,} calls behind it: in full {self.full_seconds:.1f} s "
            f"({self.calls / self.full_seconds:,.0f} calls/s); for one new file {self.median_seconds:.1f} s "
            f"(median of the {len(self.added_seconds)} of a day), {max(self.added_seconds):.1f} s at most."
        )


def bench_build(settings: Settings, folder: Path, days: int, calls_per_day: int) -> BuildBench:
    """Measure.

    Args:
        settings: An instance whose warehouse is migrated and empty: rows are left in it.
        folder: Where the files are written to.
        days: Days of history.
        calls_per_day: Calls on an average day.
    """
    simulate(
        folder,
        days=days,
        seed=7,
        calls_per_day=calls_per_day,
        last_day=LAST_DAY,
        interfaces=("telephony_call",),
    )
    later = folder.with_name(f"{folder.name}-later")
    later.mkdir()
    names = sorted(path.name for path in folder.glob("*.gz"))
    new = [name for name in names if f"{LAST_DAY:%Y%m%d}T02" <= name.rsplit("_", 2)[1]][:_FILES_OF_A_DAY]
    for name in names[names.index(new[0]) :]:
        (folder / name).rename(later / name)
    history = names[: names.index(new[0])]
    weeks = [history[first : first + _FILES_OF_A_WEEK] for first in range(0, len(history), _FILES_OF_A_WEEK)]
    for before_new, week in enumerate(reversed(weeks), start=1):
        _join([folder / name for name in week], _sequence(new[0]) - before_new)
    as_of = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC)
    ingest(settings, "telephony_call", str(folder))
    full = _timed_build(settings, as_of)
    _write_out(settings)
    added = []
    for number, name in enumerate(new, start=1):
        ingest(settings, "telephony_call", str(later / name))
        added.append(_timed_build(settings, as_of + timedelta(hours=2 * number)))
    with connect(settings) as connection:
        row = connection.execute("select count(*) from marts.fct_calls").fetchone()
    return BuildBench(days, row[0] if row else 0, full, tuple(added))


def _write_out(settings: Settings) -> None:
    """Write to disk what a full build leaves in memory: it is there long before another file comes."""
    url = warehouse_url(settings).set(username="postgres").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("checkpoint")


def _join(files: list[Path], sequence: int) -> None:
    """Make of some files one, with the stamp of the last: history is to be built on, not to be loaded slowly.

    It takes a sequence number of its own, so that no file seems to be missing.
    """
    last = files[-1].name
    whole = files[-1].with_name(last.replace(f"_{_digits(last)}.", f"_{sequence:0{len(_digits(last))}d}."))
    part = whole.with_suffix(".part")
    with part.open("wb") as joined:
        for path in files:
            joined.write(path.read_bytes())  # gzip members one after another are one gzip
            path.unlink()
            path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)
    part.rename(whole)


def _digits(name: str) -> str:
    """The sequence number in the name of a file, as it is written."""
    return name.split(".", 1)[0].rsplit("_", 1)[1]


def _sequence(name: str) -> int:
    return int(_digits(name))


def _timed_build(settings: Settings, as_of: datetime) -> float:
    started = time.perf_counter()
    result = build(settings, as_of=as_of, report=lambda line: None)
    assert result.succeeded, result.as_text()
    return time.perf_counter() - started
