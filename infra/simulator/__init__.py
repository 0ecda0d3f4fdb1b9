"""The simulator: the files that a telephony platform would send for some days of plausible traffic.

It imitates the outside world. It shares no parser, contract or figure with the rest of the product, because a
test that compares the product with itself proves nothing. The same arguments give the same bytes.

`demand` says how many ring and when, `customers` who they are, `roster` who works, `floor` what happens,
`records` how the platform writes it down, `files` how it reaches us, and `damage` what goes wrong on the way.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from infra.simulator.customers import Customers
from infra.simulator.demand import Demand
from infra.simulator.files import Outbox
from infra.simulator.floor import Floor
from infra.simulator.opening import LONDON, Calendar, instant
from infra.simulator.roster import Roster
from infra.simulator.summary import SimulationSummary

__all__ = ["SimulationSummary", "simulate"]


def simulate(
    out: Path,
    *,
    days: int = 28,
    seed: int = 1,
    calls_per_day: int = 20_000,
    last_day: date | None = None,
    bad_row_share: float = 0.0005,
) -> SimulationSummary:
    """Write the files for some local days of traffic.

    The files hold what the platform has emitted by the local midnight that ends the last day. Calls that are
    then still in progress, late records and later versions are missing from them, as they would be.

    Args:
        out: Folder for the files; made when absent. Files of the same name are replaced.
        days: Number of local days (Europe/London), at least 1.
        seed: The same seed, days and shares give the same bytes.
        calls_per_day: Calls on an average day of the week without a bank holiday, redials included.
        last_day: Last local day. Default: yesterday.
        bad_row_share: Bad rows beside each good one, from 0 to 1. Below 0.05 no file has more than 5 %.

    Raises:
        ValueError: `days` or `calls_per_day` is less than 1, or `bad_row_share` is no share.
        OSError: A file could not be written.
    """
    if days < 1 or calls_per_day < 1 or not 0 <= bad_row_share <= 1:
        raise ValueError("Simulate at least 1 day and 1 call a day, with a share of bad rows from 0 to 1.")
    if last_day is None:
        last_day = datetime.now(LONDON).date() - timedelta(days=1)
    first_day = last_day - timedelta(days=days - 1)
    end = instant(last_day + timedelta(days=1))
    out.mkdir(parents=True, exist_ok=True)

    calendar = Calendar()
    demand = Demand(calls_per_day, seed, calendar)
    roster = Roster(demand, calendar, seed)
    outbox = Outbox(out, seed, instant(first_day), end, bad_row_share)
    floor = Floor(seed, calendar, Customers(Random(f"{seed} customers"), calls_per_day), outbox.send)
    for day in (first_day + timedelta(days=number) for number in range(days)):
        floor.open_day(day, roster.shifts(day))
        for when, line in demand.arrivals(day):
            while when >= outbox.cut_off:
                floor.run_until(outbox.cut_off)
                outbox.close_file()
            floor.arrive(when, line)
    floor.run_until(outbox.cut_off)
    while outbox.close_file():
        floor.run_until(outbox.cut_off)
    outbox.finish()

    bad = sum(outbox.bad_rows.values())
    return SimulationSummary(
        folder=out,
        first_day=first_day,
        last_day=last_day,
        files=outbox.counts["files"],
        digests=outbox.counts["digests"],
        bytes=outbox.counts["bytes"],
        rows=outbox.counts["rows"],
        records=outbox.counts["rows"] - bad,
        versions=dict(outbox.versions),
        duplicates=outbox.counts["duplicates"],
        late=outbox.counts["late"],
        with_unknown_field=outbox.counts["with an unknown field"],
        bad_rows=dict(outbox.bad_rows),
        calls=floor.counts.pop("calls"),
        calls_sent=len(outbox.sent),
        calls_in_progress=floor.in_progress,
        traffic=dict(floor.counts),
    )
