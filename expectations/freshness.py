"""Whether data comes as often as its contract promises.

A file that never came is in no ledger and fails no task: only the clock shows it. This module looks at the ledger
alone, reads no raw row and raises no alarm; whoever calls it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from expectations.contracts import interfaces, read_contract
from infra.postgres import connect
from infra.settings import Settings


@dataclass(frozen=True)
class Freshness:
    """How one interface stands to its promise.

    Attributes:
        interface: Its name.
        promised: Longest time between two loads.
        loaded_at: When a file was last loaded (UTC); None if none ever was.
        since: From when on it is counted: the last load, or else the first file that the warehouse ever saw, of
            whatever interface. None if it has seen none: a warehouse that is not in use is never late.
        held: Name of the newest file that came since and was held or refused, with the rule; None if there is none.
        now: When this was found out (UTC).
    """

    interface: str
    promised: timedelta
    loaded_at: datetime | None
    since: datetime | None
    held: str | None
    now: datetime

    @property
    def is_late(self) -> bool:
        """Whether nothing was loaded for longer than is promised."""
        return self.since is not None and self.now - self.since > self.promised

    def as_text(self) -> str:
        """One line in plain English."""
        last = f"last loaded {self.loaded_at:%Y-%m-%d %H:%M} UTC" if self.loaded_at else "never loaded"
        state = "LATE" if self.is_late else "in time"
        age = f", {_in_words(self.now - self.since)} ago" if self.loaded_at and self.since else ""
        held = f" Since then {self.held} came and was not loaded." if self.held else ""
        return f"{self.interface}: {state}, {last}{age}; promised every {_in_words(self.promised)}.{held}"


def freshness(settings: Settings, now: datetime | None = None) -> list[Freshness]:
    """How each interface whose contract promises freshness stands.

    Args:
        settings: The instance.
        now: The clock, aware. None: the present.
    """
    clock = (now or datetime.now(UTC)).astimezone(UTC)
    with connect(settings) as connection:
        return [
            _of(connection, interface, timedelta(minutes=minutes), clock)
            for interface in interfaces()
            if (minutes := read_contract(interface).freshness_minutes) is not None
        ]


def _of(connection: psycopg.Connection, interface: str, promised: timedelta, clock: datetime) -> Freshness:
    row = connection.execute(
        """
        with loaded as (
            select max(finished_at) as loaded_at from ops.files where interface = %(interface)s and state = 'loaded'
        )
        select
            loaded_at,
            coalesce(loaded_at, (select min(first_seen_at) from ops.files)),
            (
                select name || ' (' || rule || ')' from ops.files
                where interface = %(interface)s and state = 'quarantined'
                    and finished_at > coalesce(loaded_at, '-infinity')
                order by finished_at desc limit 1
            )
        from loaded
        """,
        {"interface": interface},
    ).fetchone()
    loaded_at, since, held = row or (None, None, None)
    return Freshness(interface, promised, loaded_at, since, held, clock)


def _in_words(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
