"""Contacts of all channels, their reasons, and complaints, counted by period one by one from the source files.

Exists to be compared row for row with `marts.contact_volumes`, `marts.contact_reason_volumes` and
`marts.complaint_volumes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import product

from tests.oracle.annex_b import LINES
from tests.oracle.contacts import CHANNELS, Contacts, Row, _instant, _line, _maybe
from tests.oracle.periods import GRAINS, LONDON, next_start, period_start, periods
from tests.oracle.records import is_complete

DAYS_AND_LONGER = GRAINS[3:]
LANGUAGES = ("en", "cy", "unknown")
INTERFACES = {
    "voice": ("telephony_call",),
    "webchat": ("webchat_session",),
    "email": ("email_message",),
    "text": ("text_message",),
    "callback": ("callback_event",),
}
INTERFACES["all"] = tuple(interface for names in INTERFACES.values() for interface in names)


class ContactVolumes(Contacts):
    """Contacts, reasons and complaints by period, as they stand at `as_of`."""

    def contact_volumes(self) -> Iterator[Row]:
        """Contacts by line, channel, language and opening hours."""
        groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
        first = self._as_of
        for contact in self.fct_contacts():
            first = min(first, contact["received_at"])
            if contact["is_test"]:
                continue
            for line in (contact["line_of_business"], "ALL"):
                for channel in (contact["channel"], "all"):
                    for grain in DAYS_AND_LONGER:
                        begins = period_start(grain, contact["received_at"])
                        language = contact["language"] or "unknown"
                        groups[grain, begins, line, channel, language, contact["is_in_opening_hours"]].append(
                            contact
                        )
        missing = {channel: self._missing(*names) for channel, names in INTERFACES.items()}
        counted_from = period_start("day", first)
        for grain in DAYS_AND_LONGER:
            for begins, ends in periods(grain, first, self._as_of):
                for line, channel, language, is_open in product(
                    LINES, (*CHANNELS, "all"), LANGUAGES, (True, False)
                ):
                    group = groups[grain, begins, line, channel, language, is_open]
                    yield {
                        "grain": grain,
                        "period_start": begins,
                        "period_date": begins.astimezone(LONDON).date(),
                        "line_of_business": line,
                        "channel": channel,
                        "language": language,
                        "is_in_opening_hours": is_open,
                        "is_complete": is_complete(max(begins, counted_from), ends, missing[channel]),
                        "contacts": len(group),
                        "inbound_contacts": sum(contact["direction"] == "inbound" for contact in group),
                        "answered": sum(contact["is_answered"] for contact in group),
                        "complaints": sum(bool(row["is_complaint"] or row["has_complaint"]) for row in group),
                    }

    def contact_reason_volumes(self) -> Iterator[Row]:
        """Reasons by line, channel and opening hours."""
        received = {contact["contact_id"]: contact["received_at"] for contact in self.fct_contacts()}
        missing = {channel: self._missing(*names) for channel, names in INTERFACES.items()}
        counted_from = period_start("day", min(received.values(), default=self._as_of))
        reasons = [
            {**reason, "received_at": received[reason["contact_id"]]}
            for reason in self.fct_contact_reasons()
            if not reason["is_test"]
        ]
        for key, group in _grouped(reasons, ("reason_code", "is_in_opening_hours")):
            yield {
                **key,
                "is_complete": is_complete(
                    max(key["period_start"], counted_from),
                    next_start(key["grain"], key["period_start"]),
                    missing[key["channel"]],
                ),
                "is_agreed": all(reason["is_agreed"] for reason in group),
                "contacts_primary": sum(reason["is_primary"] for reason in group),
                "contacts_any": len(group),
            }

    def complaint_volumes(self) -> Iterator[Row]:
        """Complaints received, passed on and resolved, and those open at the end."""
        sent = [each.row for each in self._latest("complaint", "complaint_id")]
        sent = [row for row in sent if _instant(row["received_at"]) < self._as_of]
        received_at = [_instant(row["received_at"]) for row in sent]
        first = min([*self._first_call(), *received_at], default=self._as_of)
        missing = self._missing("complaint")
        for grain in DAYS_AND_LONGER:
            for begins, ends in periods(grain, first, self._as_of):
                until = min(ends, self._as_of)
                whole = is_complete(max(begins, period_start("day", first)), ends, missing)
                # Each line has a row of all channels and no category, whether there is any complaint or not.
                always = [(line, "all", "UNCODED") for line in LINES]
                cells: dict[tuple[str, str, str], list[Row]] = {key: [] for key in always}
                for row in sent:
                    for line in (_line(row["line_of_business"]), "ALL"):
                        for channel in (row["channel"], "all"):
                            cells.setdefault((line, channel, row["category_code"] or "UNCODED"), []).append(
                                row
                            )
                for (line, channel, category), rows in cells.items():
                    received, passed_on, resolved = (
                        [_maybe(row[name]) for row in rows]
                        for name in ("received_at", "escalated_to_csmt_at", "resolved_at")
                    )
                    counts = {
                        "complaints_received": _in(received, begins, until),
                        "escalated_to_csmt": _in(passed_on, begins, until),
                        "resolved": _in(resolved, begins, until),
                        "open_at_period_end": _in(received, first, until) - _in(resolved, first, until),
                    }
                    if any(counts.values()) or (line, channel, category) in always:
                        yield {
                            "grain": grain,
                            "period_start": begins,
                            "period_date": begins.astimezone(LONDON).date(),
                            "line_of_business": line,
                            "channel": channel,
                            "category_code": category,
                            "is_complete": whole,
                            **counts,
                        }


def _grouped(rows: list[Row], names: tuple[str, ...]) -> Iterator[tuple[Row, list[Row]]]:
    """Rows by period and further columns, for every line and channel and for all of either."""
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for grain in DAYS_AND_LONGER:
        for row in rows:
            begins = period_start(grain, row["received_at"])
            for line in (row["line_of_business"], "ALL"):
                for channel in (row["channel"], "all"):
                    groups[grain, begins, line, channel, *(row[name] for name in names)].append(row)
    columns = ("grain", "period_start", "line_of_business", "channel", *names)
    for values, group in groups.items():
        key: Row = dict(zip(columns, values, strict=True))
        yield {**key, "period_date": key["period_start"].astimezone(LONDON).date()}, group


def _in(moments: Iterable[datetime | None], first: datetime, until: datetime) -> int:
    return sum(at is not None and first <= at < until for at in moments)
