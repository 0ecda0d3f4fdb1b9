"""States of agents, followed one by one from the source files.

Each agent's day is walked from state to state, and each quarter hour is asked what passed in it. Exists to be compared
row for row with `marts.agent_intervals` and `marts.agent_occupancy`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from tests.oracle.annex_b import LINES
from tests.oracle.contacts import Contacts, Row, _instant, _line, _seconds
from tests.oracle.periods import GRAINS, LONDON, next_start, period_start

DUTIES = ("available", "in_call", "wrap_up", "hold", "break", "training")
QUARTER = timedelta(minutes=15)
Worked = dict[tuple[datetime, str, tuple[str, ...]], dict[str, Fraction]]


class Workforce(Contacts):
    """What agents did, as it stands at `as_of`."""

    def agent_intervals(self) -> Iterator[Row]:
        """Seconds of each agent in each state, by quarter hour."""
        for (begins, agent, lines), seconds in self._worked().items():
            local = begins.astimezone(LONDON).replace(tzinfo=None)
            yield {
                "interval_start": begins,
                "interval_start_local": local,
                "interval_date": local.date(),
                "agent_id": agent,
                "lines_of_business": list(lines),
                "offline_seconds": seconds.get("offline", Fraction(0)),
                **_figures([seconds]),
            }

    def agent_occupancy(self) -> Iterator[Row]:
        """Seconds of agents on duty by period and line."""
        worked = {
            key: seconds for key, seconds in self._worked().items() if any(duty in seconds for duty in DUTIES)
        }
        for grain in GRAINS:
            cells: dict[tuple[datetime, str], list[tuple[str, dict[str, Fraction]]]] = defaultdict(list)
            for (at, agent, lines), seconds in worked.items():
                for line in LINES:
                    if line == "ALL" or line in lines:
                        cells[period_start(grain, at), line].append((agent, seconds))
            for (begins, line), there in cells.items():
                local = begins.astimezone(LONDON).replace(tzinfo=None)
                yield {
                    "grain": grain,
                    "period_start": begins,
                    "period_end": next_start(grain, begins),
                    "period_start_local": local,
                    "period_date": local.date(),
                    "hour_of_day": local.hour,
                    "line_of_business": line,
                    "agents": len({agent for agent, _ in there}),
                    **_figures([seconds for _, seconds in there]),
                }

    def _worked(self) -> Worked:
        """Seconds by state, of each quarter hour, agent and list of lines; wholly offline ones are left out."""
        days: dict[str, list[Row]] = defaultdict(list)
        for sent in self._latest("agent_state", "event_id"):
            if _instant(sent.row["since"]) < self._as_of:
                days[sent.row["agent_id"]].append(sent.row)
        worked: Worked = {}
        for agent, rows in days.items():
            rows.sort(key=lambda row: (_instant(row["since"]), row["event_id"]))
            found: Worked = defaultdict(dict)
            ends = [*(_instant(row["since"]) for row in rows), self._as_of]
            for row, (start, end) in zip(rows, pairwise(ends), strict=True):
                lines = tuple(sorted({_line(line) for line in row["line_of_business"]})) or ("UNMAPPED",)
                at = start
                while at < end:
                    quarter = period_start("15min", at)
                    until = min(end, quarter + QUARTER)
                    passed = _seconds(at, until) or Fraction(0)
                    states = found[quarter, agent, lines]
                    states[row["state"]] = states.get(row["state"], Fraction(0)) + passed
                    at = until
            on_duty = {at for (at, _, _), states in found.items() if any(duty in states for duty in DUTIES)}
            worked |= {key: states for key, states in found.items() if key[0] in on_duty}
        return worked


def _figures(worked: list[dict[str, Fraction]]) -> Row:
    seconds = {duty: sum((each.get(duty, Fraction(0)) for each in worked), Fraction(0)) for duty in DUTIES}
    busy = seconds["in_call"] + seconds["wrap_up"] + seconds["hold"]
    ready = busy + seconds["available"]
    staffed = sum(seconds.values(), Fraction(0))
    return {
        **{f"{duty}_seconds": each for duty, each in seconds.items()},
        "staffed_seconds": staffed,
        "ready_seconds": ready,
        "busy_seconds": busy,
        "occupancy_rate": busy / ready if ready else None,
        "availability_rate": ready / staffed if staffed else None,
    }
