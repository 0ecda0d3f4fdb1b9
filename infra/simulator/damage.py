"""Bad rows of calls: copies of good rows, each damaged in one known way that the interface forbids.

A damaged row stands beside the good one, never in its place, so that no call is lost by it. How many there
are, where they stand and whose turn it is are the same for every interface: `Damage` says so here, and
`blemishes` has the kinds of the other interfaces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from typing import Any

import msgspec

Record = dict[str, Any]
_REQUIRED = (
    "call_id",
    "record_version",
    "emitted_at",
    "dialled_number",
    "received_at",
    "ivr_outcome",
    "legs",
)
_ENOUGH_TRIES = 200


def _shift(stamp: str, seconds: int) -> str:
    return (datetime.fromisoformat(stamp).astimezone(UTC) + timedelta(seconds=seconds)).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )


def _set(**values: Any) -> Callable[[Record, Random], None]:
    return lambda record, rng: record.update(values)


def _set_on_first_leg(**values: Any) -> Callable[[Record, Random], None]:
    return lambda record, rng: record["legs"][0].update(values)


def _lose_a_field(record: Record, rng: Random) -> None:
    del record[rng.choice(_REQUIRED)]


def _lose_the_queue(record: Record, rng: Random) -> None:
    del record["legs"][0]["queue"]


def _answer_before_queue(record: Record, rng: Random) -> None:
    leg = record["legs"][0]
    leg["answered_at"] = _shift(leg["queued_at"], -rng.randint(1, 300))


def _leave_before_answer(record: Record, rng: Random) -> None:
    leg = record["legs"][0]
    leg["left_at"] = _shift(leg["answered_at"], -rng.randint(1, 300))


def _menu_ends_before_call(record: Record, rng: Random) -> None:
    record["ivr_ended_at"] = _shift(record["received_at"], -rng.randint(1, 300))


def _queue_before_call(record: Record, rng: Random) -> None:
    record["legs"][0]["queued_at"] = _shift(record["received_at"], -rng.randint(1, 300))


def _lose_the_offset(record: Record, rng: Random) -> None:
    record["received_at"] = record["received_at"].removesuffix("Z")[:23]


def _any(record: Record) -> bool:
    return True


def _queued(record: Record) -> bool:
    return bool(record["legs"])


def _answered(record: Record) -> bool:
    return bool(record["legs"]) and record["legs"][0].get("answered_at") is not None


# kind -> which records it can be done to, and how; those of None damage the text, not the record.
_KINDS: dict[str, tuple[Callable[[Record], bool], Callable[[Record, Random], None] | None]] = {
    "invalid JSON": (_any, None),
    "string in a number": (
        _any,
        lambda record, rng: record.update(record_version=str(record["record_version"])),
    ),
    "missing required field": (_any, _lose_a_field),
    "answered before queued": (_queued, _answer_before_queue),
    "timestamp without offset": (_any, _lose_the_offset),
    "unknown menu outcome": (_any, _set(ivr_outcome="transferred_out")),
    "negative wrap-up": (_queued, _set_on_first_leg(wrap_seconds=-5)),
    "queued without a leg": (_queued, _set(legs=[])),
    "left before answered": (_answered, _leave_before_answer),
    "menu ended before the call": (_any, _menu_ends_before_call),
    "queued before the call": (_queued, _queue_before_call),
    "leg with another menu outcome": (_queued, _set(ivr_outcome="self_served")),
    "unknown end reason": (_queued, _set_on_first_leg(end_reason="hung_up")),
    "unknown language": (_any, _set(language="xx")),
    "timestamp before 1990": (_any, _set(emitted_at="1970-01-01T00:00:00.000000Z")),
    "timestamp in the far future": (_any, _set(emitted_at="2999-12-31T23:59:59.999Z")),
    "impossible date": (_any, _set(received_at="2026-02-30T10:00:00.000Z")),
    "number that is not finite": (_queued, None),
    "identifier too long": (_any, lambda record, rng: record.update(call_id=record["call_id"] * 2)),
    "version zero": (_any, _set(record_version=0)),
    "null in a required field": (_any, _set(received_at=None)),
    "not an object": (_any, None),
    "leg without a queue": (_queued, _lose_the_queue),
}
BAD_ROW_KINDS = tuple(_KINDS)


class Damage(ABC):
    """Makes bad rows, one kind after another, so that a file of any size meets every kind in the end."""

    def __init__(self, rng: Random, kinds: Iterable[str]) -> None:
        self._rng = rng
        self._kinds = cycle(kinds)

    def how_many(self, rows: int, share: float) -> int:
        """Draw how many bad rows go with some good rows; at most 5 % of all when the share is less than that.

        A reader sets a whole file aside above 5 %, and these rows are meant to be found one by one.
        """
        drawn = sum(self._rng.random() < share for _ in range(rows)) if share else 0
        # bad / (good + bad) <= 1/20
        return min(drawn, rows // 19) if share < 0.05 else drawn

    def position(self, rows: int) -> int:
        """Draw where among some rows a bad one stands."""
        return self._rng.randint(0, rows)

    def damage(self, rows: Sequence[bytes]) -> tuple[str, bytes] | None:
        """Make one bad row from one of some good rows.

        Returns:
            The kind and the row, or None when no row is fit for the kind whose turn it is.
        """
        kind = next(self._kinds)
        for _ in range(_ENOUGH_TRIES):
            damaged = self._damage(kind, self._rng.choice(rows))
            if damaged is not None:
                return kind, damaged
        return None

    @abstractmethod
    def _damage(self, kind: str, row: bytes) -> bytes | None:
        """Damage a row in a known way, or give None when it is not fit for it."""

    def add_bad_rows(self, rows: list[bytes], share: float) -> Counter[str]:
        """Put bad rows among some good ones, and count them by kind."""
        added: Counter[str] = Counter()
        good = tuple(rows)
        for _ in range(self.how_many(len(good), share)):
            damaged = self.damage(good)
            if damaged is not None:
                kind, row = damaged
                added[kind] += 1
                rows.insert(self.position(len(rows)), row)
        return added


class CallDamage(Damage):
    """Bad rows of `telephony_call`."""

    def __init__(self, seed: int) -> None:
        super().__init__(Random(f"{seed} damage"), BAD_ROW_KINDS)

    def _damage(self, kind: str, row: bytes) -> bytes | None:
        record = msgspec.json.decode(row)
        is_fit, change = _KINDS[kind]
        if not is_fit(record):
            return None
        if change is None:
            return self._damage_text(kind, row, record)
        change(record, self._rng)
        return msgspec.json.encode(record)

    def _damage_text(self, kind: str, row: bytes, record: Record) -> bytes:
        if kind == "not an object":
            return msgspec.json.encode([record["call_id"], record["record_version"]])
        if kind == "invalid JSON":
            return row[: self._rng.randint(20, len(row) - 2)]
        record["legs"][0]["hold_seconds"] = "not finite"
        return msgspec.json.encode(record).replace(b'"not finite"', b"1e999")
