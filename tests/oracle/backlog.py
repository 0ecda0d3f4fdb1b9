"""Call-backs and e-mails that wait, and callers in a queue, counted one by one from the source files.

Every figure is counted anew from single items: the work in progress at an instant is those items that had begun and
were not resolved, whatever stood before. Exists to be compared row for row with the marts and the functions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from tests.oracle.annex_b import LINES
from tests.oracle.contacts import Contacts, Row, _instant, _line, _maybe, _seconds
from tests.oracle.periods import GRAINS, LONDON, period_start, periods
from tests.oracle.records import is_complete

HOUR = timedelta(hours=1)
DUE = {"callback_event": 24 * HOUR, "email_message": 48 * HOUR}
"""How long after it began an item falls due."""


@dataclass
class Item:
    """One call-back or inbound e-mail. `began` is null for a call-back that nobody asked for."""

    line: str
    began: datetime | None
    completed: datetime | None
    resolved: datetime | None
    resolution: str | None
    attempts: list[datetime]

    def waits_at(self, instant: datetime) -> bool:
        """Whether it is in the work in progress at an instant."""
        return (
            self.began is not None
            and self.began <= instant
            and (self.resolved is None or instant < self.resolved)
        )

    def resolved_as(self, how: str) -> datetime | None:
        """When it was resolved in that way, if it was. What nobody asked for was never in the work in progress."""
        return self.resolved if self.began and self.resolution == how else None

    def due(self, after: timedelta) -> datetime | None:
        """When it fell or falls due; None for one that never does.

        One that was withdrawn or passed on before could no longer be dealt with in time. One that expired could.
        """
        if self.began is None or (self.resolved is not None and self.resolved < self.began):
            return None
        due = self.began + after
        gone = (
            self.resolution in ("cancelled", "transferred")
            and self.resolved is not None
            and self.resolved < due
        )
        return None if gone and not self.is_in_time(after) else due

    def is_in_time(self, after: timedelta) -> bool:
        """Whether it was dealt with before it fell due."""
        return bool(self.began and self.completed and self.completed < self.began + after)

    def moments(self) -> list[datetime]:
        """Every instant at which something of it counts."""
        resolved = self.resolved if self.began else None
        return [at for at in (self.began, self.completed, resolved, *self.attempts) if at]


class Backlog(Contacts):
    """The six marts and the two functions, as they stand at `as_of`."""

    @cached_property
    def callbacks(self) -> list[Item]:
        """Every call-back that began before `as_of`."""
        grouped: dict[str, list[Row]] = defaultdict(list)
        for sent in self._latest("callback_event", "event_id"):
            if _instant(sent.row["occurred_at"]) <= self._as_of:
                grouped[sent.row["callback_id"]].append(sent.row)
        found = []
        for rows in grouped.values():
            rows.sort(key=lambda row: (_instant(row["occurred_at"]), row["event_id"]))
            asked = [row for row in rows if row["event"] == "requested"]
            first = (asked or rows)[0]
            if _instant(first["occurred_at"]) >= self._as_of:
                continue
            reached, ends = [], []
            for row in rows:
                at = _instant(row["occurred_at"])
                if row["event"] == "connected" or (
                    row["event"] == "attempted" and row.get("outcome") == "connected"
                ):
                    reached.append(at)
                    ends.append((at, 1, "connected"))
                elif row["event"] in ("cancelled", "expired"):
                    ends.append((at, 2 if row["event"] == "cancelled" else 3, row["event"]))
            found.append(
                Item(
                    line=self._reference.line(
                        first["dialled_number"], _instant(first["occurred_at"]).astimezone(LONDON).date()
                    ),
                    began=_instant(first["occurred_at"]) if asked else None,
                    completed=min(reached, default=None),
                    resolved=min(ends)[0] if ends else None,
                    resolution=min(ends)[2] if ends else None,
                    attempts=[_instant(row["occurred_at"]) for row in rows if row["event"] == "attempted"],
                )
            )
        return found

    @cached_property
    def emails(self) -> list[Item]:
        """Every inbound e-mail that was received before `as_of`."""
        found = []
        for sent in self._newest("email_message", "message_id"):
            row = sent.row
            if row["direction"] != "inbound" or _instant(row["received_at"]) >= self._as_of:
                continue
            replied = self._happened(row.get("replied_at"))
            passed_on = self._happened(row.get("transferred_at"))
            ends = [(at, how) for at, how in ((replied, "replied"), (passed_on, "transferred")) if at]
            found.append(
                Item(
                    line=_line(row.get("line_of_business")),
                    began=_instant(row["received_at"]),
                    completed=replied,
                    resolved=min(ends)[0] if ends else None,
                    resolution=min(ends)[1] if ends else None,
                    attempts=[],
                )
            )
        return found

    # ------------------------------------------------------------------------------------------------------ marts

    def annex_b_callbacks(self, grains: Sequence[str] = GRAINS) -> Iterator[Row]:
        """Volumes of call-backs."""
        for key, items, until in self._cells("callback_event", self.callbacks, grains):
            due, in_time = self._due(key, items, until, DUE["callback_event"])
            asked = self._count(key, (item.began for item in items), until)
            yield {
                **key,
                "callbacks_offered": asked,
                "callbacks_generated": asked,
                "attempts": self._count(key, (at for item in items for at in item.attempts), until),
                "connected": self._count(key, (item.completed for item in items), until),
                "cancelled": self._resolved(key, items, until, "cancelled"),
                "expired": self._resolved(key, items, until, "expired"),
                "due": due,
                "reached_in_time": in_time,
                "wip_at_period_end": sum(item.waits_at(until) for item in items),
            }

    def email_volumes(self, grains: Sequence[str] = GRAINS) -> Iterator[Row]:
        """Volumes of inbound e-mails."""
        for key, items, until in self._cells("email_message", self.emails, grains):
            due, in_time = self._due(key, items, until, DUE["email_message"])
            yield {
                **key,
                "received": self._count(key, (item.began for item in items), until),
                "replied": self._count(key, (item.completed for item in items), until),
                "transferred": self._resolved(key, items, until, "transferred"),
                "due": due,
                "replied_in_time": in_time,
                "wip_at_period_end": sum(item.waits_at(until) for item in items),
            }

    def annex_b_callback_wip_age(self) -> Iterator[Row]:
        """Call-backs that wait at every whole hour, by age."""
        return self._wip_age("callback_event", self.callbacks, "callbacks")

    def email_wip_age(self) -> Iterator[Row]:
        """E-mails that wait at every whole hour, by age."""
        return self._wip_age("email_message", self.emails, "emails")

    def annex_b_callback_completed_age(self) -> Iterator[Row]:
        """Call-backs reached, by age."""
        return self._completed_age("callback_event", self.callbacks, "callbacks")

    def email_completed_age(self) -> Iterator[Row]:
        """E-mails replied to, by age."""
        return self._completed_age("email_message", self.emails, "emails")

    # -------------------------------------------------------------------------------------------------- functions

    def callback_wip_at(self, instant: datetime) -> Iterator[Row]:
        """What `marts.callback_wip_at(instant)` gives."""
        for line in LINES:
            waiting = [item.began for item in _of(line, self.callbacks) if item.waits_at(instant)]
            oldest = min((began for began in waiting if began), default=None)
            yield {
                "line": line,
                "callbacks": len(waiting),
                "oldest_requested_at": oldest,
                "oldest_age_seconds": _seconds(oldest, instant),
            }

    def queue_at(self, instant: datetime) -> Iterator[Row]:
        """What `marts.queue_at(instant)` gives."""
        waiting: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for sent in self._newest("telephony_call", "call_id"):
            row = sent.row
            received_at = _instant(row["received_at"])
            if row.get("is_test") or received_at >= self._as_of:
                continue
            line = self._reference.line(row["dialled_number"], received_at.astimezone(LONDON).date())
            for leg in row["legs"]:
                queued_at = _instant(leg["queued_at"])
                ends = [
                    _maybe(leg.get("answered_at")),
                    _maybe(leg.get("left_at")),
                    _maybe(row.get("ended_at")),
                ]
                if queued_at <= instant and not any(end and end <= instant for end in ends):
                    waiting[leg["queue"], line].append(queued_at)
        for (queue, line), queued in waiting.items():
            yield {
                "queue": queue,
                "line": line,
                "callers_waiting": len(queued),
                "oldest_queued_at": min(queued),
            }

    def moments(self) -> list[datetime]:
        """Every instant at which the state of call-backs or of queues changes, up to `as_of`."""
        found = {at for item in self.callbacks for at in item.moments()}
        for sent in self._newest("telephony_call", "call_id"):
            times = [sent.row.get("ended_at")]
            for leg in sent.row["legs"]:
                times += [leg["queued_at"], leg.get("answered_at"), leg.get("left_at")]
            found |= {_instant(text) for text in times if text}
        return sorted(at for at in found if at <= self._as_of)

    # ---------------------------------------------------------------------------------------------------- parts

    def _start(self, items: list[Item]) -> datetime | None:
        moments = [at for item in items for at in item.moments()]
        return min([*self._first_call(), *moments], default=None)

    def _cells(
        self, interface: str, items: list[Item], grains: Sequence[str] = GRAINS
    ) -> Iterator[tuple[Row, list[Item], datetime]]:
        """Of every period and line the columns that name it, its items, and the instant up to which it is known."""
        start = self._start(items)
        missing = self._missing(interface)
        of_line = {line: _of(line, items) for line in LINES}
        if not start:
            return
        counted_from = period_start("15min", start)
        for grain in grains:
            for begins, ends in periods(grain, start, self._as_of):
                local = begins.astimezone(LONDON).replace(tzinfo=None)
                for line in LINES:
                    key = {
                        "grain": grain,
                        "period_start": begins,
                        "period_end": ends,
                        "period_start_local": local,
                        "period_date": local.date(),
                        "hour_of_day": local.hour,
                        "line": line,
                        "is_complete": is_complete(max(begins, counted_from), ends, missing),
                    }
                    yield key, of_line[line], min(ends, self._as_of)

    @staticmethod
    def _count(key: Row, moments: Iterator[datetime | None], until: datetime) -> int:
        return sum(at is not None and key["period_start"] <= at < until for at in moments)

    def _resolved(self, key: Row, items: list[Item], until: datetime, how: str) -> int:
        return self._count(key, (item.resolved_as(how) for item in items), until)

    def _due(self, key: Row, items: list[Item], until: datetime, after: timedelta) -> tuple[int, int]:
        """How many items fell due, and how many of them had been dealt with in time."""
        in_time = [item for item in items if item.is_in_time(after)]
        return tuple(self._count(key, (item.due(after) for item in some), until) for some in (items, in_time))  # type: ignore[return-value]

    def _wip_age(self, interface: str, items: list[Item], counted_as: str) -> Iterator[Row]:
        start = self._start(items)
        missing = self._missing(interface)
        snapshot_at = period_start("hour", start) if start else self._as_of + HOUR
        while snapshot_at <= self._as_of:
            for line in LINES:
                ages = Counter(
                    (snapshot_at - item.began) // HOUR
                    for item in _of(line, items)
                    if item.began and item.waits_at(snapshot_at)
                )
                for age, count in ages.items():
                    yield {
                        "snapshot_at": snapshot_at,
                        "line": line,
                        "age_hours": age,
                        "is_complete": not any(after < snapshot_at <= until for after, until in missing),
                        counted_as: count,
                    }
            snapshot_at += HOUR

    def _completed_age(self, interface: str, items: list[Item], counted_as: str) -> Iterator[Row]:
        for key, some, until in self._cells(interface, items):
            ages = Counter(
                (item.completed - item.began) // HOUR
                for item in some
                if item.began
                and item.completed
                and item.began <= item.completed
                and key["period_start"] <= item.completed < until
            )
            for age, count in ages.items():
                yield {
                    **{name: key[name] for name in ("grain", "period_start", "line", "is_complete")},
                    "age_hours": age,
                    counted_as: count,
                }


def _of(line: str, items: list[Item]) -> list[Item]:
    return [item for item in items if line in ("ALL", item.line)]
