"""What one call is, in Annex B's terms, as it stood at an instant.

Exists so that every rule about a single call is written in one place, apart from counting. An instant after
`as_of` has not happened yet. Durations are whole microseconds, or fractions of them where the platform's own
seconds are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import phonenumbers

from tests.oracle.periods import LONDON
from tests.oracle.records import Leg, Record
from tests.oracle.reference import Reference

MICROSECOND = timedelta(microseconds=1)
UNCODED = "UNCODED"


@dataclass(frozen=True, slots=True)
class Call:
    """The facts of one call. A wait is microseconds, None when not known; handle times likewise, per leg."""

    call_id: str
    line: str
    received_at: datetime
    ended_at: datetime | None
    is_test: bool
    caller: str | None
    ivr_outcome: str
    outcome: str | None
    wait: int | None
    abandoned_at_skill: bool
    abandoned_awaiting_transfer: bool
    handle: tuple[Fraction, ...]
    legs_pending: int
    transfers: tuple[tuple[str, str | None], ...]
    primary_code: str | None
    any_codes: frozenset[str]

    @property
    def is_handled(self) -> bool:
        """Answered, and every answered leg is complete."""
        return self.outcome == "answered" and self.legs_pending == 0


def call_of(record: Record, reference: Reference, as_of: datetime) -> Call:
    """The facts of a record as they stood at `as_of`."""

    def happened(instant: datetime | None) -> datetime | None:
        return instant if instant is not None and instant <= as_of else None

    def left(leg: Leg) -> datetime | None:
        return happened(leg.left_at)

    def reason(leg: Leg) -> str | None:
        """Why the leg ended. Without an end of its own it ended with its call, or else at some time."""
        end = leg.left_at or record.ended_at
        return leg.end_reason if end is None or end <= as_of else None

    legs = sorted(record.legs, key=lambda leg: leg.leg_no)
    answered = [leg for leg in legs if happened(leg.answered_at)]
    complete = [leg for leg in answered if left(leg) and leg.wrap_seconds is not None]
    outcome: str | None = None
    wait = None
    if record.ivr_outcome == "queued":
        first_queued = min(leg.queued_at for leg in legs)
        if answered:
            outcome = "answered"
            wait = _microseconds(first_queued, min(_known(leg.answered_at) for leg in answered))
        else:
            last = legs[-1]
            outcome = _outcome(reason(last), ended=happened(record.ended_at) is not None)
            end = left(last) or happened(record.ended_at)
            if outcome == "abandoned" and end is not None:
                wait = _microseconds(first_queued, end)
    left_answered = [leg for leg in answered if left(leg)]
    codes = left_answered[-1].reason_codes if left_answered else ()
    return Call(
        call_id=record.call_id,
        line=reference.line(record.dialled_number, record.received_at.astimezone(LONDON).date()),
        received_at=record.received_at,
        ended_at=happened(record.ended_at),
        is_test=record.is_test,
        caller=caller_of(record.caller_number),
        ivr_outcome=record.ivr_outcome,
        outcome=outcome,
        wait=wait,
        abandoned_at_skill=any(reason(leg) == "abandoned" for leg in answered),
        abandoned_awaiting_transfer=any(
            reason(leg) == "abandoned" and not happened(leg.answered_at) and leg.leg_no > answered[0].leg_no
            for leg in legs
            if answered
        ),
        handle=tuple(_handle(leg) for leg in complete),
        legs_pending=len(answered) - len(complete),
        transfers=tuple(
            (leg.transfer_to, leg.transfer_mode)
            for leg in legs
            if reason(leg) == "transferred" and leg.transfer_to is not None
        ),
        primary_code=(codes[0] if codes else UNCODED) if answered else None,
        any_codes=frozenset(code for leg in legs for code in leg.reason_codes) if answered else frozenset(),
    )


def caller_of(text: str | None) -> str | None:
    """The caller's number however it is written, or None when it is no possible one, dialled from Great Britain."""
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, "GB")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _outcome(reason: str | None, *, ended: bool) -> str:
    """Outcome of an offered call that no agent answered, from the reason that its last leg ended for."""
    match reason:
        case "abandoned":
            return "abandoned"
        case "forced_disconnect":
            return "forced_disconnect"
        case None:
            return "flow_out" if ended else "open"
    return "flow_out"


def _handle(leg: Leg) -> Fraction:
    assert leg.wrap_seconds is not None
    return _microseconds(_known(leg.answered_at), _known(leg.left_at)) + leg.wrap_seconds * 1_000_000


def _microseconds(start: datetime, end: datetime) -> int:
    return (end - start) // MICROSECOND


def _known(value: datetime | None) -> datetime:
    assert value is not None
    return value
