"""How many callers ring, and when: Poisson streams whose rates follow the week, the day and the hour.

Days are drawn independently of one another, each from the seed, its date and its line, so that a longer
simulation does not change who rings on a day. Callers who ring again after giving up are not here: they
depend on the floor.
"""

from __future__ import annotations

from datetime import date, timedelta
from math import cos, exp, pi

import numpy as np
from numpy.typing import NDArray

from infra.simulator.lines import LINES, Line
from infra.simulator.opening import SECOND, Calendar, instant, local

QUARTER = 900 * SECOND
REDIAL_ALLOWANCE = 0.04
"""Share of calls that redials are expected to add; first calls are fewer by it."""
_CLOSED_SHARE = 0.015
_BANK_HOLIDAY = 0.42
_AFTER_HOLIDAY = 1.12


class Demand:
    """Call arrivals by line and local day."""

    def __init__(self, calls_per_day: int, seed: int, calendar: Calendar) -> None:
        self._calls = calls_per_day * (1 - REDIAL_ALLOWANCE)
        self._seed = seed
        self._calendar = calendar

    def expected(self, line: Line, day: date) -> NDArray[np.float64]:
        """Give the mean number of calls in each quarter hour of a local day, without that day's chance.

        The array has 96 values, 92 and 100 on the two days on which the clock changes.
        """
        start, end = instant(day), instant(day + timedelta(days=1))
        hours = self._calendar.hours(line.name, day)
        volume = self._calls * line.share * line.week[day.weekday()] / (sum(line.week) / 7)
        if self._calendar.is_bank_holiday(day):
            volume *= _BANK_HOLIDAY if hours else 0.05
        elif self._calendar.is_bank_holiday(day - timedelta(days=1)):
            volume *= _AFTER_HOLIDAY
        quarters = range(start, end, QUARTER)
        clock = np.array([(at.hour + at.minute / 60) for at in map(local, quarters)])
        is_open = np.array([hours is not None and hours.opens <= at < hours.closes for at in quarters])
        # Two humps over a plateau while the line is open; outside, people who ring a bit too early or late.
        inside = (
            1 + 1.5 * np.exp(-(((clock - 10.4) / 1.4) ** 2)) + 0.8 * np.exp(-(((clock - 14.2) / 1.8) ** 2))
        )
        inside *= np.where(clock >= 17.5, 0.65, 1.0) * is_open
        outside = (0.03 + np.exp(-(((clock - 12) / 5.5) ** 4))) * ~is_open
        mean: NDArray[np.float64] = outside / outside.sum()
        if is_open.any():
            mean = (1 - _CLOSED_SHARE) * inside / inside.sum() + _CLOSED_SHARE * mean
        return mean * volume

    def arrivals(self, day: date) -> list[tuple[int, Line]]:
        """Draw the callers of a local day: the instant at which each rings and the line, in order of time."""
        wave = 1 + 0.04 * cos(2 * pi * day.toordinal() / 61)
        common = np.random.default_rng([self._seed, day.toordinal()]).normal(0, 0.05)
        drawn: list[tuple[int, Line]] = []
        for number, line in enumerate(LINES):
            rng = np.random.default_rng([self._seed, day.toordinal(), number])
            mean = self.expected(line, day) * wave * exp(common + rng.normal(0, 0.03))
            starts = instant(day) + QUARTER * np.repeat(np.arange(mean.size), rng.poisson(mean))
            instants = starts + rng.integers(0, QUARTER, starts.size)
            drawn.extend((at, line) for at in instants.tolist())
        drawn.sort(key=lambda arrival: arrival[0])
        return drawn
