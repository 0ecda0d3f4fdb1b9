"""How much comes in by other channels than voice: as much per call as stated here, with the week of the calls.

Every number is an assumption, per 20,000 calls. It draws nothing but the number and the instants of a day.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from infra.simulator.demand import REDIAL_ALLOWANCE, Demand
from infra.simulator.lines import LINES, Line
from infra.simulator.opening import HOUR, instant

CALLS = 20_000
CHATS = 2_500
EMAILS = 3_000
TEXTS = 4_000
COMPLAINTS = 40
PAYMENTS = 1_200
CALLBACK_EMAILS = 60
_QUARTER = HOUR // 4


def arrivals(
    demand: Demand, day: date, per_day: int, seed: list[int], evenness: float
) -> list[tuple[int, Line]]:
    """Draw the contacts of a local day by a channel: the instant and line of each, in order of time.

    Args:
        demand: Demand by voice, whose week the channel follows.
        day: The day.
        per_day: Contacts for every 20,000 calls.
        seed: The same seed gives the same contacts.
        evenness: Share of contacts that come at any hour of the day alike, from 0 to 1.
    """
    rng = np.random.default_rng([*seed, day.toordinal()])
    starts = np.arange(instant(day), instant(day + timedelta(days=1)), _QUARTER)
    drawn: list[tuple[int, Line]] = []
    for line in LINES:
        mean = demand.expected(line, day) * per_day / CALLS / (1 - REDIAL_ALLOWANCE)
        mean = (1 - evenness) * mean + evenness * mean.mean()
        quarters = np.repeat(starts, rng.poisson(mean))
        instants = quarters + rng.integers(0, _QUARTER, quarters.size)
        drawn.extend((at, line) for at in instants.tolist())
    drawn.sort(key=lambda arrival: arrival[0])
    return drawn
