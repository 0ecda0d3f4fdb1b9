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
from tests.oracle.periods import GRAINS, LONDON, period_start, periods
from tests.oracle.records import is_complete

DUTIES = ("available", "in_call", "wrap_up", "hold", "break", "training")
QUARTER = timedelta(minutes=15)
LONGEST_SHIFT = timedelta(hours=16)
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
                "unknown_seconds": seconds.get("unknown", Fraction(0)),
                **_figures([seconds]),
            }

    def agent_occupancy(self) -> Iterator[Row]:
        """Seconds of agents on duty by period and line."""
        states = [_instant(sent.row["since"]) for sent in self._latest("agent_state", "event_id")]
        begun = self._first_call() + [at for at in states if at < self._as_of]
        missing = self._missing("agent_state")
        worked = {
            key: seconds for key, seconds in self._worked().items() if any(duty in seconds for duty in DUTIES)
        }
        for grain in GRAINS:
            cells: dict[tuple[datetime, str], list[tuple[str, dict[str, Fraction]]]] = defaultdict(list)
            for (at, agent, lines), seconds in worked.items():
                for line in LINES:
                    if line == "ALL" or line in lines:
                        cells[period_start(grain, at), line].append((agent, seconds))
            for begins, ends in periods(grain, min(begun), self._as_of) if begun else ():
                local = begins.astimezone(LONDON).replace(tzinfo=None)
                for line in LINES:
                    there = cells[begins, line]
                    yield {
                        "grain": grain,
                        "period_start": begins,
                        "period_end": ends,
                        "period_start_local": local,
                        "period_date": local.date(),
                        "hour_of_day": local.hour,
                        "line_of_business": line,
                        "is_complete": is_complete(
                            max(begins, period_start("15min", min(begun))), ends, missing
                        ),
                        "agents": len({agent for agent, _ in there}),
                        **_figures([seconds for _, seconds in there]),
                    }

    def agent_findings(self) -> Iterator[Row]:
        """States that no event ended within the longest shift."""
        for agent, stays in self._stays().items():
            for row, since, until in stays:
                if row["state"] != "offline" and until - since > LONGEST_SHIFT:
                    yield {
                        "finding": "no_event_for_longer_than_a_shift",
                        "agent_id": agent,
                        "event_id": row["event_id"],
                        "state": row["state"],
                        "lines_of_business": list(_lines(row)),
                        "since": since,
                        "counted_until": since + LONGEST_SHIFT,
                        "known_again_at": until if until < self._as_of else None,
                    }

    def _stays(self) -> dict[str, list[tuple[Row, datetime, datetime]]]:
        """The states of each agent that lasted any time, one after another, each with its begin and end."""
        events: dict[str, list[Row]] = defaultdict(list)
        for sent in self._latest("agent_state", "event_id"):
            if _instant(sent.row["since"]) < self._as_of:
                events[sent.row["agent_id"]].append(sent.row)
        stays = {}
        for agent, rows in events.items():
            rows.sort(key=lambda row: (_instant(row["since"]), row["event_id"]))
            ends = pairwise([*(_instant(row["since"]) for row in rows), self._as_of])
            stays[agent] = [
                (row, start, end) for row, (start, end) in zip(rows, ends, strict=True) if start < end
            ]
        return stays

    def _worked(self) -> Worked:
        """Seconds by state, of each quarter hour, agent and list of lines; wholly offline ones are left out."""
        worked: Worked = {}
        for agent, stays in self._stays().items():
            found: Worked = defaultdict(dict)
            for row, start, end in stays:
                # Without any event for so long, nobody knows what the agent did.
                expires = end if row["state"] == "offline" else start + LONGEST_SHIFT
                at = start
                while at < end:
                    quarter = period_start("15min", at)
                    until = min(end, quarter + QUARTER, *([expires] if at < expires else []))
                    state = row["state"] if at < expires else "unknown"
                    states = found[quarter, agent, _lines(row)]
                    states[state] = states.get(state, Fraction(0)) + (_seconds(at, until) or Fraction(0))
                    at = until
            on_duty = {at for (at, _, _), states in found.items() if any(duty in states for duty in DUTIES)}
            worked |= {key: states for key, states in found.items() if key[0] in on_duty}
        return worked


def _lines(row: Row) -> tuple[str, ...]:
    """The lines that an agent serves, each once."""
    return tuple(sorted({_line(line) for line in row["line_of_business"]})) or ("UNMAPPED",)


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
