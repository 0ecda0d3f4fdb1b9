"""How each queue stands every so many seconds: who waits, since when, and how many agents do what.

Counted from what the floor lets be seen, at the very instant. It must not estimate anything.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from random import Random

from infra.simulator.agents import AVAILABLE, IN_CALL, WRAP_UP, FloorAgents, Put
from infra.simulator.calls import Leg
from infra.simulator.lines import CSMT, LINES, line_of
from infra.simulator.opening import SECOND, Calendar
from infra.simulator.roster import GRACE
from infra.simulator.stamps import Stamp, any_style, micros

_NONE: Counter[str] = Counter()


class Snapshots:
    """Writes one row per queue and instant, from opening until the last callers have been let go."""

    def __init__(
        self, put: Put, rng: Random, calendar: Calendar, agents: FloorAgents, seconds: int, start: int
    ) -> None:
        """Set up the snapshots of every `seconds` from the instant `start` on."""
        self._put = put
        self._rng = rng
        self._calendar = calendar
        self._agents = agents
        self._step = seconds * SECOND
        names = [name for line in LINES for name in (line.general_queue, line.second_queue)]
        # Callers stand in the order in which they came.
        self._waiting: dict[str, dict[int, int]] = {name: {} for name in [*names, CSMT]}
        self._hours: list[tuple[int, int, str]] = []
        self.next = start
        """Instant of the next snapshot; none is taken when no queue is open then."""

    def open_day(self, day: date) -> None:
        """Look up when each queue is open on a local day."""
        hours = {queue: self._calendar.hours(line_of(queue), day) for queue in self._waiting}
        self._hours = [
            (opening.opens, opening.closes + GRACE, queue) for queue, opening in hours.items() if opening
        ]
        first = min((opens for opens, _, _ in self._hours), default=self.next)
        self.next = max(self.next, -(-first // self._step) * self._step)

    def entered(self, leg: Leg) -> None:
        """A caller waits."""
        self._waiting[leg.queue][id(leg)] = leg.queued_at

    def gone(self, leg: Leg) -> None:
        """A caller waits no longer: an agent answered, or the caller left."""
        del self._waiting[leg.queue][id(leg)]

    def take(self) -> None:
        """Write how the open queues stand now, at the instant that was next."""
        now = self.next
        self.next = now + self._step
        stamp: Stamp | None = None
        for opens, closes, queue in self._hours:
            if opens <= now <= closes:
                stamp = stamp or any_style(self._rng)
                self._put(now, self._row(now, queue, stamp))

    def _row(self, now: int, queue: str, stamp: Stamp) -> bytes:
        waiting = self._waiting[queue]
        counts = self._agents.counts.get(queue, _NONE)
        oldest = f'"{micros(next(iter(waiting.values())))}"' if waiting else "null"
        available, talking, wrapping = counts[AVAILABLE], counts[IN_CALL], counts[WRAP_UP]
        return (
            f'{{"snapshot_at":"{stamp(now)}","queue":"{queue}","contacts_waiting":{len(waiting)},'
            f'"oldest_waiting_since":{oldest},"agents_available":{available},'
            f'"agents_in_call":{talking},"agents_wrap_up":{wrapping},'
            f'"agents_staffed":{available + talking + wrapping}}}'
        ).encode()
