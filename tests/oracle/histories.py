"""Histories of calls as a telephony platform could send them, drawn by hypothesis and written as files.

Exists to reach what ordinary traffic seldom does: thresholds met to the microsecond, versions that disagree,
legs that never end, nights on which the clocks change. It must not decide any figure.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.oracle.records import END_REASONS

NIGHTS = {
    "clocks go forward": datetime(2025, 3, 29, 22, tzinfo=UTC),
    "clocks go back": datetime(2024, 10, 26, 21, tzinfo=UTC),
    "the year ends": datetime(2024, 12, 31, 22, tzinfo=UTC),
    "a leap day ends": datetime(2024, 2, 29, 22, tzinfo=UTC),
}
"""Instants from which five hours hold a moment at which days, hours or years are easily miscounted."""

HOURS = 5
NUMBERS = [*(f"+44163296000{digit}" for digit in range(1, 5)), "+441632960999"]
NAMED_CALLERS = ["+447700900001", "07700 900001", "0044 7700 900002", "tel:+44-7700-900003"]
CALLERS = [None, "anonymous", "", "withheld", "12", *NAMED_CALLERS]
QUEUES = [
    "PAL_GENERAL",
    "ABI_GENERAL",
    "DSLR_GENERAL",
    "PVS_GENERAL",
    "PAL_2ND",
    "PVS_2ND",
    "CSMT",
    "UNKNOWN",
]
EDGES = [0, 5, 10, 30, 45, 60, 70, 90, 300, 3600]
TALKS = [0, 1, 61.5, 600, 4000.000001]


@dataclass(frozen=True)
class File:
    """A file as the platform writes it: name and lines."""

    name: str
    lines: tuple[bytes, ...] = field(repr=False)

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, packed if its name says so."""
        content = b"".join(line + b"\n" for line in self.lines)
        path = folder / self.name
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
        return path


def _iso(instant: datetime, style: int) -> str:
    """An instant in one of the ways that the interface allows."""
    if style == 0:
        return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return instant.astimezone(timezone(timedelta(hours=style))).isoformat()


def _seconds(draw: st.DrawFn, choices: Sequence[float]) -> timedelta:
    """A duration at, or one microsecond beside, a place where something changes; or any other."""
    exact = draw(st.sampled_from(choices) | st.integers(0, 4000))
    beside = draw(st.sampled_from([0, 0, 1, -1]))
    return max(timedelta(0), timedelta(seconds=exact, microseconds=beside))


@st.composite
def records(draw: st.DrawFn, call_id: str, start: datetime, codes: Sequence[str]) -> dict[str, Any]:
    """One version of one call received within hours of `start`, by the rules of the interface."""
    style = draw(st.sampled_from([0, 0, 1, -5]))
    # Some minutes are drawn often, so that a caller calls twice at one instant, and at the very end of what is seen.
    minute = draw(st.sampled_from([7, 61, 120, 240]) | st.integers(0, HOURS * 60 - 1))
    clock = start + timedelta(minutes=minute, microseconds=draw(st.sampled_from([0, 1, 59_999_999])))
    record: dict[str, Any] = {
        "call_id": call_id,
        "record_version": draw(st.integers(1, 3)),
        "emitted_at": _iso(start + timedelta(hours=draw(st.integers(HOURS, HOURS + 2))), style),
        "dialled_number": draw(st.sampled_from(NUMBERS)),
        "received_at": _iso(clock, style),
        "ivr_outcome": draw(
            st.sampled_from(["queued"] * 7 + ["self_served", "abandoned", "forced_disconnect"])
        ),
        "legs": [],
    }
    if draw(st.integers(0, 9)) == 9:
        record["is_test"] = True
    if draw(st.integers(0, 3)):
        record["caller_number"] = draw(st.sampled_from(CALLERS))
    if draw(st.booleans()):
        record |= {
            "language": draw(st.sampled_from(["en", "cy"])),
            "ivr_path": ["MAIN"],
            "ivr_ended_at": None,
        }
    clock += _seconds(draw, [0, 30])
    if record["ivr_outcome"] == "queued":
        clock = _legs(draw, record, clock, style, codes)
    if draw(st.integers(0, 3)):
        record["ended_at"] = _iso(clock, style)
    return record


def _legs(
    draw: st.DrawFn, record: dict[str, Any], clock: datetime, style: int, codes: Sequence[str]
) -> datetime:
    """Give a record its queue visits, one to four, and return the instant that the last of them reached."""
    for number in range(1, draw(st.integers(1, 4)) + 1):
        leg: dict[str, Any] = {
            "leg_no": number,
            "queue": draw(st.sampled_from(QUEUES)),
            "queued_at": _iso(clock, style),
        }
        clock += _seconds(draw, EDGES)
        if draw(st.booleans()):
            leg |= {"answered_at": _iso(clock, style), "agent_id": "A1", "hold_seconds": 0.5}
            clock += _seconds(draw, TALKS)
            leg["wrap_seconds"] = draw(st.sampled_from([None, 0, 12, 7.25, 0.000001]))
        if draw(st.integers(0, 7)):
            leg["left_at"] = _iso(clock, style)
        leg["end_reason"] = draw(st.sampled_from([None, "abandoned", "transferred", *END_REASONS]))
        if leg["end_reason"] == "transferred":
            leg["transfer_to"] = draw(st.sampled_from(["2nd_line", "csmt", "other", None]))
            leg["transfer_mode"] = draw(st.sampled_from(["warm", "cold", None]))
        leg["reason_codes"] = draw(st.lists(st.sampled_from(codes), max_size=2))
        record["legs"].append(leg)
    if draw(st.integers(0, 7)) == 0:
        record["legs"].reverse()  # the number says which leg is the last, not its place in the list
    return clock


@st.composite
def forerunners(
    draw: st.DrawFn, call_id: str, start: datetime, follower: dict[str, Any], days: int
) -> dict[str, Any]:
    """An answered call, days before, of which it is decided within a microsecond whether it is resolved.

    Exactly `days` times 24 hours after it ended, but for a microsecond, its caller makes the call `follower`, or one
    looks at it: at one of the first hours after `start`.
    """
    follows = datetime.fromisoformat(follower["received_at"])
    moment = draw(st.sampled_from([follows, *(start + timedelta(hours=hour) for hour in range(1, HOURS))]))
    beside = timedelta(microseconds=draw(st.sampled_from([0, 0, 1, -1])))
    ended = moment - timedelta(hours=24 * days) + beside
    leg = {"leg_no": 1, "queue": "PAL_GENERAL", "agent_id": "A1", "end_reason": "completed"}
    leg |= {
        "queued_at": _iso(ended - timedelta(minutes=3), 0),
        "answered_at": _iso(ended - timedelta(minutes=2), 0),
        "left_at": _iso(ended, 0),
    }
    return {
        "call_id": call_id,
        "record_version": 1,
        "emitted_at": _iso(start + timedelta(hours=HOURS), 0),
        "dialled_number": draw(st.sampled_from(NUMBERS)),
        "caller_number": follower.get("caller_number"),
        "received_at": _iso(ended - timedelta(minutes=4), 0),
        "ivr_outcome": "queued",
        "legs": [leg],
        "ended_at": _iso(ended, 0),
    }


def _damaged(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Ways in which a record can break the rules of the interface, each on its own."""
    return [
        {**record, "received_at": "2025-03-30T01:30:00"},
        {**record, "received_at": "2025-02-29T01:30:00Z"},
        {**record, "record_version": "1"},
        {**record, "record_version": 0},
        {**record, "ivr_outcome": "lost"},
        {**record, "ivr_outcome": "queued", "legs": []},
        {**record, "ivr_ended_at": "1991-01-01T00:00:00Z"},
        {**record, "emitted_at": "1989-12-31T23:59:59Z"},
        {name: value for name, value in record.items() if name != "dialled_number"},
    ]


def _without_conflict(records: Sequence[dict[str, Any]]) -> list[bytes]:
    """The records as lines of one file, but for those that contradict an earlier line."""
    told: dict[tuple[str, int, str], bytes] = {}
    lines = []
    for record in records:
        line = json.dumps(record).encode()
        instant = datetime.fromisoformat(record["emitted_at"]).astimezone(UTC).isoformat()
        if told.setdefault((record["call_id"], record["record_version"], instant), line) == line:
            lines.append(line)
    return lines


@st.composite
def deliveries(
    draw: st.DrawFn,
    start: datetime,
    codes: Sequence[str],
    calls: int = 40,
    reach: Sequence[int] = (1, 3, 7, 14, 28),
) -> list[File]:
    """Files that tell of some calls: versions in any order, repeated, in conflict, and rows that break rules.

    Args:
        draw: Hypothesis' own.
        start: The calls are received in the five hours from this instant, but for a few that lie days before.
        codes: Reason codes to take from.
        calls: How many calls.
        reach: How many days before the first of them some calls may lie: one of these numbers.

    Returns:
        Files in the order of their names. A sequence number may be missing. A bad row stands only among so
        many good ones that its file is not refused whole. Versions in conflict, equal in number and emission,
        stand in different files: the interface does not say which of them counts within one.
    """
    lines: list[dict[str, Any]] = []
    for number in range(calls):
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            lines.append(draw(records(f"H{number:03d}", start, codes)))
    named = [line for line in lines if line.get("caller_number") in NAMED_CALLERS] or lines
    days = draw(st.sampled_from(reach))
    for number in range(draw(st.integers(0, 6))):
        follower = draw(st.sampled_from(named))
        lines.append(draw(forerunners(f"F{number:03d}", start, follower, days)))
    lines += draw(st.lists(st.sampled_from(lines), min_size=1, max_size=10))
    lines = draw(st.permutations(lines))
    size = draw(st.sampled_from([25, 40]))
    files = []
    sequence = 0
    for first in range(0, len(lines), size):
        rows = _without_conflict(lines[first : first + size])
        if len(rows) >= 20 and draw(st.booleans()):
            bad = draw(st.sampled_from([b'{"call_id": ', *_damaged(lines[first])]))
            rows.insert(
                draw(st.integers(0, len(rows))), bad if isinstance(bad, bytes) else json.dumps(bad).encode()
            )
        sequence += draw(st.sampled_from([1, 1, 1, 2]))
        stamp = (start + timedelta(minutes=35 * sequence)).strftime("%Y%m%dT%H%M%SZ")
        suffix = draw(st.sampled_from(["", ".gz"]))
        files.append(File(f"telephony_call_sim_{stamp}_{sequence:05d}.jsonl{suffix}", tuple(rows)))
    return files
