"""Contacts of all channels, their reasons, and complaints, counted by period one by one from the source files.

Exists to be compared row for row with `marts.contact_volumes`, `marts.contact_reason_volumes` and
`marts.complaint_volumes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from tests.oracle.contacts import Contacts, Row, _instant, _line, _maybe
from tests.oracle.periods import GRAINS, LONDON, period_start, periods

DAYS_AND_LONGER = GRAINS[3:]


class ContactVolumes(Contacts):
    """Contacts, reasons and complaints by period, as they stand at `as_of`."""

    def contact_volumes(self) -> Iterator[Row]:
        """Contacts by line, channel, language and opening hours."""
        contacts = [contact for contact in self.fct_contacts() if not contact["is_test"]]
        for contact in contacts:
            contact["language"] = contact["language"] or "unknown"
        for key, group in _grouped(contacts, ("language", "is_in_opening_hours")):
            yield {
                **key,
                "contacts": len(group),
                "inbound_contacts": sum(contact["direction"] == "inbound" for contact in group),
                "answered": sum(contact["is_answered"] for contact in group),
                "complaints": sum(bool(row["is_complaint"] or row["has_complaint"]) for row in group),
            }

    def contact_reason_volumes(self) -> Iterator[Row]:
        """Reasons by line, channel and opening hours."""
        received = {contact["contact_id"]: contact["received_at"] for contact in self.fct_contacts()}
        reasons = [
            {**reason, "received_at": received[reason["contact_id"]]}
            for reason in self.fct_contact_reasons()
            if not reason["is_test"]
        ]
        for key, group in _grouped(reasons, ("reason_code", "is_in_opening_hours")):
            yield {
                **key,
                "is_agreed": all(reason["is_agreed"] for reason in group),
                "contacts_primary": sum(reason["is_primary"] for reason in group),
                "contacts_any": len(group),
            }

    def complaint_volumes(self) -> Iterator[Row]:
        """Complaints received, passed on and resolved, and those open at the end."""
        sent = [each.row for each in self._latest("complaint", "complaint_id")]
        sent = [row for row in sent if _instant(row["received_at"]) < self._as_of]
        first = min((_instant(row["received_at"]) for row in sent), default=self._as_of)
        for grain in DAYS_AND_LONGER:
            for begins, ends in periods(grain, first, self._as_of):
                until = min(ends, self._as_of)
                cells: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
                for row in sent:
                    for line in (_line(row["line_of_business"]), "ALL"):
                        for channel in (row["channel"], "all"):
                            cells[line, channel, row["category_code"] or "UNCODED"].append(row)
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
                    if any(counts.values()):
                        yield {
                            "grain": grain,
                            "period_start": begins,
                            "period_date": begins.astimezone(LONDON).date(),
                            "line_of_business": line,
                            "channel": channel,
                            "category_code": category,
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
