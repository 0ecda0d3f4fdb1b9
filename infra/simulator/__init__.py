"""The simulator: the files that a contact centre's platforms would send for some days of plausible traffic.

It imitates the outside world. It shares no parser, contract or figure with the rest of the product, because a
test that compares the product with itself proves nothing. The same arguments give the same bytes.

`demand` says how many ring and when, `customers` who they are, `roster` who works, `floor` what happens,
`records` how the platform writes it down, `files` how it reaches us, and `damage` what goes wrong on the way.

All that is of calls. `channels` puts the other interfaces beside them: it watches the floor through `observer`,
and draws from random numbers of its own, so that the calls of a seed are the same with and without it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from infra.simulator.channels import Channels
from infra.simulator.customers import Customers
from infra.simulator.deliveries import Delivery
from infra.simulator.demand import Demand
from infra.simulator.files import Outbox
from infra.simulator.floor import Floor
from infra.simulator.interfaces import EVERY_INTERFACE, TELEPHONY_CALL, WIP_EXTRACT
from infra.simulator.opening import LONDON, Calendar, instant
from infra.simulator.roster import Roster
from infra.simulator.summary import InterfaceCounts, SimulationSummary

__all__ = ["EVERY_INTERFACE", "InterfaceCounts", "SimulationSummary", "simulate"]


def simulate(
    out: Path,
    *,
    days: int = 28,
    seed: int = 1,
    calls_per_day: int = 20_000,
    last_day: date | None = None,
    bad_row_share: float = 0.0005,
    interfaces: Iterable[str] | None = None,
    wip_applications: int = 20_000,
    wip_extracts: int = 12,
    snapshot_seconds: int = 30,
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
        bad_row_share: Bad rows beside each good one, from 0 to 1. Below 0.05 no file has more than 5 %. In a
            WIP extract a twentieth of it.
        interfaces: Names of the interfaces to write. Default: all. The files of one are the same whichever
            others are written.
        wip_applications: Applications in hand at the start.
        wip_extracts: WIP extracts written, the last ones; each is whole, and there is one every two hours.
        snapshot_seconds: Seconds between two snapshots of the queues.

    Raises:
        ValueError: `days` or `calls_per_day` is less than 1, or `bad_row_share` is no share, an interface is
            not known, or a number is negative.
        OSError: A file could not be written.
    """
    wanted = set(EVERY_INTERFACE if interfaces is None else interfaces)
    if not wanted or not wanted <= set(EVERY_INTERFACE):
        raise ValueError(f"Simulate at least one of these interfaces: {', '.join(EVERY_INTERFACE)}.")
    if wip_applications < 0 or wip_extracts < 0 or snapshot_seconds < 1:
        raise ValueError(
            "Simulate 0 or more applications and extracts, and snapshots 1 second apart or more."
        )
    if days < 1 or calls_per_day < 1 or not 0 <= bad_row_share <= 1:
        raise ValueError("Simulate at least 1 day and 1 call a day, with a share of bad rows from 0 to 1.")
    if last_day is None:
        last_day = datetime.now(LONDON).date() - timedelta(days=1)
    first_day = last_day - timedelta(days=days - 1)
    end = instant(last_day + timedelta(days=1))
    out.mkdir(parents=True, exist_ok=True)

    calendar = Calendar()
    demand = Demand(calls_per_day, seed, calendar)
    channels = None
    if wanted != {TELEPHONY_CALL}:
        channels = Channels(
            out,
            seed=seed,
            first_day=first_day,
            last_day=last_day,
            calls_per_day=calls_per_day,
            bad_row_share=bad_row_share,
            wanted=wanted,
            demand=demand,
            calendar=calendar,
            wip_applications=wip_applications,
            wip_extracts=wip_extracts,
            snapshot_seconds=snapshot_seconds,
        )
    outbox = Outbox(out if TELEPHONY_CALL in wanted else None, seed, instant(first_day), end, bad_row_share)
    customers = Customers(Random(f"{seed} customers"), calls_per_day)
    floor = Floor(seed, calendar, customers, outbox.send, channels)

    def close_file() -> bool:
        floor.run_until(outbox.cut_off)
        if channels is not None:
            channels.close_files(outbox.cut_off)
        return outbox.close_file()

    # The applications depend on nothing that happens on the floor.
    is_floor_needed = wanted != {WIP_EXTRACT.name}
    roster = Roster(demand, calendar, seed)
    for day in (first_day + timedelta(days=number) for number in range(days if is_floor_needed else 0)):
        floor.open_day(day, roster.shifts(day))
        for when, line in demand.arrivals(day):
            while when >= outbox.cut_off:
                close_file()
            floor.arrive(when, line)
    while close_file():
        pass
    outbox.finish()
    if channels is not None:
        channels.finish()

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
        calls=floor.counts.pop("calls", 0),
        calls_sent=len(outbox.sent),
        calls_in_progress=floor.in_progress,
        traffic=dict(floor.counts),
        interfaces=_count(outbox, channels, wanted),
        other_traffic=dict(channels.traffic()) if channels else {},
    )


def _count(outbox: Outbox, channels: Channels | None, wanted: Collection[str]) -> dict[str, InterfaceCounts]:
    """Count what was written, by interface."""
    written: dict[str, Outbox | Delivery] = {
        TELEPHONY_CALL: outbox,
        **(channels.deliveries if channels else {}),
    }
    return {
        name: InterfaceCounts(
            files=box.counts["files"],
            rows=box.counts["rows"],
            bytes=box.counts["bytes"],
            duplicates=box.counts["duplicates"],
            late=box.counts["late"],
            with_unknown_field=box.counts["with an unknown field"],
            bad_rows=dict(box.bad_rows),
        )
        for name, box in written.items()
        if name in wanted
    }
