"""People who serve one channel in writing: who of a team takes the next contact, and when, on one local day.

A day is worked through in one go, because nothing on the floor of voice depends on it. It must not know what
a contact is about.
"""

from __future__ import annotations

import json
from heapq import heapify, heappop, heappush
from random import Random

from infra.simulator.agents import AVAILABLE, BREAK, IN_CALL, OFFLINE, WRAP_UP, AgentLog
from infra.simulator.lines import LINES
from infra.simulator.opening import HOUR, SECOND

_MINUTE = 60 * SECOND
_BREAK = 40 * _MINUTE
_LINES_SERVED = json.dumps([line.name for line in LINES])


class Team:
    """The agents of a channel on one day: each does one thing at a time, and takes one long break."""

    def __init__(
        self, channel: str, people: list[str], opens: int, closes: int, log: AgentLog, rng: Random
    ) -> None:
        """Let everybody log in.

        Args:
            channel: The channel that they serve.
            people: Codes of the people.
            opens: Instant at which they start, in microseconds.
            closes: Instant from which nothing more is taken on.
            log: Where their states are written.
            rng: Draws their breaks.
        """
        self._channel = channel
        self._closes = closes
        self._log = log
        # (free from, code, break due)
        self._free = [(opens, person, opens + 3 * HOUR + rng.randrange(150) * _MINUTE) for person in people]
        heapify(self._free)
        for person in people:
            self._note(opens, person, AVAILABLE)

    def free_from(self) -> int:
        """Say from when somebody is free."""
        return self._free[0][0]

    def take(self) -> tuple[str, int]:
        """Take whoever has been free longest away, and give their code and when their break is due."""
        _, person, due = heappop(self._free)
        return person, due

    def work(self, person: tuple[str, int], starts: int, ends: int, wrapped: int, noted: bool = True) -> None:
        """Let somebody who was taken work on a contact, wrap it up and be free again, after any break due."""
        name, due = person
        if noted:
            self._note(starts, name, IN_CALL)
            if wrapped > ends:
                self._note(ends, name, WRAP_UP)
        if due <= wrapped and due < self._closes:
            self._note(wrapped, name, BREAK)
            self._note(wrapped + _BREAK, name, AVAILABLE)
            heappush(self._free, (wrapped + _BREAK, name, self._closes))
            return
        if noted:
            self._note(wrapped, name, AVAILABLE)
        heappush(self._free, (wrapped, name, due))

    def go_home(self) -> None:
        """Let everybody log out, once what they do is done."""
        while self._free:
            free, person, _ = heappop(self._free)
            self._note(max(free, self._closes) + SECOND, person, OFFLINE)

    def _note(self, when: int, person: str, state: str) -> None:
        self._log.note(when, person, _LINES_SERVED, state, self._channel)
