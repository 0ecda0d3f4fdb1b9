"""How the platform writes a call down: a JSON object per version, as `telephony_call` version 1 describes it.

Written from the description of the interface alone; it shares no code with whatever reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from infra.simulator.calls import Call, Leg
from infra.simulator.stamps import LOCAL, ZULU, micros, millis

_encode = msgspec.json.Encoder().encode


def render(call: Call, *, local_time: bool = False, extra: dict[str, Any] | None = None) -> bytes:
    """Write one version of a call, as it stands, as one line without its end.

    Args:
        call: The call; `versions` is the version that is written, `emitted_at` when it is.
        local_time: Write timestamps in local time with its offset, not in UTC with `Z`.
        extra: Further fields, which the interface does not know.
    """
    write = micros if call.is_precise else millis
    zone = LOCAL if local_time else ZULU
    record: dict[str, Any] = {
        "call_id": call.call_id,
        "record_version": call.versions,
        "emitted_at": write(call.emitted_at, zone),
        "is_test": call.is_test,
        "dialled_number": call.dialled_number,
        "caller_number": call.caller_number,
        "language": call.language,
        "received_at": write(call.received_at, zone),
        "ivr_ended_at": None if call.ivr_ended_at is None else write(call.ivr_ended_at, zone),
        "ivr_outcome": call.ivr_outcome,
        "ivr_path": call.ivr_path,
        "legs": [_leg(leg, write, zone) for leg in call.legs],
        "ended_at": None if call.ended_at is None else write(call.ended_at, zone),
    }
    if call.is_sparse:
        record = _without_defaults(record)
        record["legs"] = [_without_defaults(leg) for leg in record["legs"]]
    if extra:
        record |= extra
    return _encode(record)


def _leg(leg: Leg, write: Callable[[int, int], str], zone: int) -> dict[str, Any]:
    return {
        "leg_no": leg.number,
        "queue": leg.queue,
        "queued_at": write(leg.queued_at, zone),
        "answered_at": None if leg.answered_at is None else write(leg.answered_at, zone),
        "left_at": None if leg.left_at is None else write(leg.left_at, zone),
        "agent_id": leg.agent_id,
        "hold_seconds": leg.hold_seconds,
        "wrap_seconds": leg.wrap_seconds,
        "end_reason": leg.end_reason,
        "transfer_to": leg.transfer_to,
        "transfer_mode": leg.transfer_mode,
        "reason_codes": leg.reason_codes,
    }


def _without_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: null, false, English, and any empty list but that of the legs."""
    return {
        name: value
        for name, value in fields.items()
        if name == "legs"
        or not (value is None or value is False or value == [] or (name, value) == ("language", "en"))
    }
