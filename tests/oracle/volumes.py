"""Webchats and texts counted by period, one by one from the source files.

Every figure is counted anew from single contacts for every period and line. Exists to be compared row for row with
`marts.webchat_volumes` and `marts.text_volumes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction

from tests.oracle.annex_b import LINES
from tests.oracle.contacts import Contacts, Row, _seconds
from tests.oracle.periods import GRAINS, LONDON, period_start, periods
from tests.oracle.records import is_complete

ENDINGS = {
    "abandoned_in_queue": "abandoned_in_queue",
    "abandoned_in_chat": "abandoned_in_chat",
    "transferred": "transferred",
    "ended_idle": "idle",
    "forced_disconnects": "forced_disconnect",
    "completed": "completed",
    "ended_without_reason": "unknown",
    "open_chats": "open",
}


class Volumes(Contacts):
    """Webchats and texts by period, as they stand at `as_of`."""

    def webchat_volumes(self, grains: Sequence[str] = GRAINS) -> Iterator[Row]:
        """Volumes and waits of webchats."""
        records = {sent.row["chat_id"]: sent.row for sent in self._newest("webchat_session", "chat_id")}
        chats = []
        for chat in self._webchat():
            row = records[chat["source_id"]]
            responded = self._happened(row.get("first_response_at"))
            chats.append(
                chat
                | {
                    "responded_after": None
                    if responded is None or chat["answered_at"] is None
                    else _seconds(chat["answered_at"], max(responded, chat["answered_at"])),
                    "messages_customer": row.get("messages_customer") or 0,
                    "messages_agent": row.get("messages_agent") or 0,
                }
            )
        return self._by_period("webchat_session", chats, _chats, grains)

    def text_volumes(self) -> Iterator[Row]:
        """Volumes of texts, and how long their delivery took."""
        return self._by_period("text_message", list(self._text()), _texts)

    def _by_period(
        self,
        interface: str,
        contacts: list[Row],
        figures: Callable[[list[Row]], Row],
        grains: Sequence[str] = GRAINS,
    ) -> Iterator[Row]:
        """A row for every period and line from the first call, or the first contact, to `as_of`."""
        contacts = [contact for contact in contacts if contact["received_at"] < self._as_of]
        begun = self._first_call() + [each["received_at"] for each in contacts]
        missing = self._missing(interface)
        for grain in grains if begun else ():
            groups: dict[tuple[datetime, str], list[Row]] = defaultdict(list)
            for contact in contacts:
                begins = period_start(grain, contact["received_at"])
                groups[begins, contact["line_of_business"]].append(contact)
                groups[begins, "ALL"].append(contact)
            counted_from = period_start("15min", min(begun))
            for begins, ends in periods(grain, min(begun), self._as_of):
                local = begins.astimezone(LONDON).replace(tzinfo=None)
                for line in LINES:
                    yield {
                        "grain": grain,
                        "period_start": begins,
                        "period_end": ends,
                        "period_start_local": local,
                        "period_date": local.date(),
                        "hour_of_day": local.hour,
                        "line_of_business": line,
                        "is_complete": is_complete(max(begins, counted_from), ends, missing),
                        **figures(groups[begins, line]),
                    }


def _chats(chats: list[Row]) -> Row:
    taken = [chat for chat in chats if chat["answered_at"]]
    left = [chat for chat in chats if chat["outcome"] == "abandoned_in_queue" and not chat["answered_at"]]
    waits = _known(chat["wait_seconds"] for chat in taken)
    responses = _known(chat["responded_after"] for chat in taken)
    handled = _known(chat["handle_seconds"] for chat in chats)
    return {
        "chats_started": len(chats),
        "chats_queued": sum(chat["queued_at"] is not None for chat in chats),
        "chats_not_queued": sum(chat["queued_at"] is None for chat in chats),
        "chats_accepted": len(taken),
        "accepted_within_60s": sum(wait <= 60 for wait in waits),
        **{name: sum(chat["outcome"] == outcome for chat in chats) for name, outcome in ENDINGS.items()},
        **_waits("", waits),
        **_waits("_abandoned", _known(chat["wait_seconds"] for chat in left)),
        "first_response_avg_seconds": _average(responses),
        "first_response_seconds": sum(responses, Fraction(0)),
        "first_responses": len(responses),
        "handle_seconds": sum(handled, Fraction(0)),
        "handled_chats": len(handled),
        "messages_customer": sum(chat["messages_customer"] for chat in chats),
        "messages_agent": sum(chat["messages_agent"] for chat in chats),
        "chats_without_customer": sum(chat["customer_key"] is None for chat in chats),
        "chats_in_welsh": sum(chat["language"] == "cy" for chat in chats),
    }


def _texts(texts: list[Row]) -> Row:
    ours = [text for text in texts if text["direction"] == "outbound"]
    arrived = [text for text in ours if text["outcome"] == "delivered"]
    times = _known(_seconds(text["received_at"], text["ended_at"]) for text in arrived)
    return {
        "texts_sent": len(ours),
        "texts_received": len(texts) - len(ours),
        "delivered": len(arrived),
        "failed": sum(text["outcome"] == "failed" for text in ours),
        "undelivered_yet": sum(text["outcome"] == "sent" for text in ours),
        "delivery_avg_seconds": _average(times),
        "delivery_max_seconds": max(times, default=None),
        "delivery_seconds": sum(times, Fraction(0)),
        "deliveries_timed": len(times),
    }


def _waits(suffix: str, waits: list[Fraction]) -> Row:
    return {
        f"wait_min_seconds{suffix}": min(waits, default=None),
        f"wait_max_seconds{suffix}": max(waits, default=None),
        f"wait_avg_seconds{suffix}": _average(waits),
        f"wait_seconds{suffix}": sum(waits, Fraction(0)),
        f"waits{suffix}": len(waits),
    }


def _average(values: list[Fraction]) -> Fraction | None:
    return sum(values, Fraction(0)) / len(values) if values else None


def _known(values: Iterable[Fraction | None]) -> list[Fraction]:
    return [value for value in values if value is not None]
