"""A list of things to do at instants yet to come, done in order of time; the floor has a clock of its own.

What follows from the calls happens on this clock. It must never lead the floor's: whoever runs it says how
far time has come.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Agenda:
    """Events in order of time; of one instant, in the order in which they were put down."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._scheduled = 0

    def at(self, when: int, action: Callable[[int], None]) -> None:
        """Put down an action; it is called with its instant."""
        self._scheduled += 1
        heappush(self._events, (when, self._scheduled, action))

    def run_through(self, when: int) -> None:
        """Do everything that is due by an instant, the instant included."""
        events = self._events
        while events and events[0][0] <= when:
            at, _, action = heappop(events)
            action(at)
