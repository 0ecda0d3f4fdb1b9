"""Who works when: shifts that follow the expected load of each queue, with breaks and the odd absence.

The planner knows the expected demand, not the day's chance, as in life; so some days are short of people.
"""

from __future__ import annotations

from datetime import date, timedelta
from math import ceil
from random import Random

import numpy as np
from numpy.typing import NDArray

from infra.simulator.demand import QUARTER, Demand
from infra.simulator.lines import CSMT, LINES, line_of
from infra.simulator.opening import HOUR, SECOND, Calendar, instant

GRACE = 600 * SECOND
"""How long after closing the last agents stay for callers who still wait."""
_BUSY = 1.01
_MINUTE = 60 * SECOND
_ABSENT = 0.06
_TO_CSMT = 0.012
# Mean work per call, wrap-up included, over the median talk of the line; the 2nd line takes longer.
_WORK = 1.42
_SECOND_WORK = 2.1
_CSMT_SECONDS = 800.0


class Agent:
    """One agent during one shift.

    Attributes:
        agent_id: Code of the person.
        queue: Queue that the agent serves.
        starts: Instant at which the shift starts, in microseconds.
        ends: Instant at which it ends.
        breaks: Breaks not taken yet, as (due, length).
        free_since: Instant since when the agent has had nothing to do, in microseconds.
    """

    __slots__ = ("agent_id", "breaks", "ends", "free_since", "queue", "starts")

    def __init__(
        self, agent_id: str, queue: str, starts: int, ends: int, breaks: list[tuple[int, int]]
    ) -> None:
        self.agent_id = agent_id
        self.queue = queue
        self.starts = self.free_since = starts
        self.ends = ends
        self.breaks = breaks

    def available_from(self, now: int) -> int | None:
        """Say from when a free agent can take a call: now, after a break, or None when the shift is over."""
        while self.breaks and self.breaks[0][0] <= now:
            due, length = self.breaks.pop(0)
            self.free_since = max(due, self.free_since) + length
        back = max(now, self.free_since)
        return back if back < self.ends else None


class Roster:
    """Plans the shifts of every queue, day by day."""

    def __init__(self, demand: Demand, calendar: Calendar, seed: int) -> None:
        self._demand = demand
        self._calendar = calendar
        self._seed = seed
        self._queues = [*(line.general_queue for line in LINES), *(line.second_queue for line in LINES), CSMT]

    def shifts(self, day: date) -> list[Agent]:
        """Give the agents who work on a local day, each with their shift, in order of queue and start."""
        rng = Random(f"{self._seed} roster {day}")
        return [agent for queue in self._queues for agent in self._plan(queue, day, rng)]

    def _plan(self, queue: str, day: date, rng: Random) -> list[Agent]:
        hours = self._calendar.hours(line_of(queue), day)
        if hours is None:
            return []
        load = self._load(queue, day)
        first = (hours.opens - instant(day)) // QUARTER
        agents: list[Agent] = []
        ends: list[int] = []
        for quarter in range(first, (hours.closes - instant(day)) // QUARTER):
            at = instant(day) + quarter * QUARTER
            # Breaks take a seventh of a shift. At least two, so that one may go to lunch.
            needed = max(2, ceil(load[quarter] / _BUSY * 8 / 7))
            present = sum(end > at for end in ends)
            for _ in range(needed - present):
                length = (8 if rng.random() < 0.7 else 5) * HOUR
                end = at + length if at + length < hours.closes - HOUR else hours.closes + GRACE
                ends.append(end)
                if needed > 4 and rng.random() < _ABSENT:
                    continue
                starts = at + rng.randrange(240 * SECOND) * (rng.random() < 0.4)
                # Other people on other weekdays, and nobody twice on one.
                person = f"A{self._queues.index(queue) + 1}{7 * day.weekday() + len(ends):04d}"
                agents.append(Agent(person, queue, starts, end, _breaks(starts, end, rng)))
        return agents

    def _load(self, queue: str, day: date) -> NDArray[np.float64]:
        """Give the expected number of agents at work in each quarter hour."""
        load: NDArray[np.float64] = np.zeros((instant(day + timedelta(days=1)) - instant(day)) // QUARTER)
        for line in LINES:
            queued = self._demand.expected(line, day) * (1 - line.self_served - 0.06) / 900
            if queue == line.general_queue:
                return queued * line.talk_seconds * _WORK
            if queue == line.second_queue:
                return queued * line.to_2nd_line * line.talk_seconds * _SECOND_WORK
            load += queued * _TO_CSMT * _CSMT_SECONDS
        return load


def _breaks(starts: int, ends: int, rng: Random) -> list[tuple[int, int]]:
    """Plan the breaks of a shift as (due, length): a short one every two hours, and lunch in a long shift."""
    plan = [(2.0, 15), (4.0, 40), (6.3, 15)] if ends - starts > 6 * HOUR else [(2.2, 15)]
    return [
        (starts + int(at * HOUR) + rng.randrange(-25, 26) * _MINUTE, length * _MINUTE) for at, length in plan
    ]
