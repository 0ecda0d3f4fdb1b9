"""Plausible records for the benchmarks, the same for the same seed: of a size and variety as they would really be."""

from __future__ import annotations

import csv
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

_START = datetime(2026, 1, 5, 8, tzinfo=UTC)
_BORN = date(1930, 1, 1)
_SURNAMES = ("Smith", "Jones", "Evans", "Patel", "Brown", "O'Neill", "Lloyd-Jones", "Prys", "Khan", "Müller")
_STAGES = ("received", "examination", "identity_check", "awaiting_documents", "printing", "dispatched")
_SAID = (
    "Hello, how can I help you today?",
    "I would like to know where my application is.",
    "Thank you. May I have your reference, please?",
    "It was sent on Monday, and should be with you by the end of the week.",
    "That is very helpful, thank you for your time.",
)


def telephony_call(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Calls with one leg or two, most of them of new callers."""
    choose = random.Random(seed)
    for number in range(count):
        received = _START + timedelta(milliseconds=1_500 * number % 25_000_000_000)
        at = queued = received + timedelta(milliseconds=choose.randint(20_000, 90_000))
        legs = []
        for leg_no in range(1, choose.choices((2, 3), (85, 15))[0]):
            answered = at + timedelta(milliseconds=choose.randint(0, 120_000))
            left = answered + timedelta(milliseconds=choose.randint(30_000, 900_000))
            legs.append(
                {
                    "leg_no": leg_no,
                    "queue": choose.choice(("PAL_GENERAL", "ABI_GENERAL", "PAL_2ND")),
                    "queued_at": _text(at),
                    "answered_at": _text(answered),
                    "left_at": _text(left),
                    "agent_id": f"agent-{choose.randint(1, 300):04d}",
                    "hold_seconds": choose.randint(0, 60),
                    "wrap_seconds": round(choose.random() * 90, 1),
                    "end_reason": "completed",
                    "transfer_to": None,
                    "transfer_mode": None,
                    "reason_codes": [f"R{choose.randint(1, 30):02d}"],
                }
            )
            at = left
        yield {
            "call_id": str(uuid.UUID(int=choose.getrandbits(128))),
            "record_version": 1,
            "emitted_at": _text(at + timedelta(seconds=60)),
            "is_test": False,
            "dialled_number": f"+44163296000{choose.randint(1, 4)}",
            "caller_number": choose.choice((f"07700 9{choose.randint(0, 99_999):05d}", None)),
            "language": "en",
            "received_at": _text(received),
            "ivr_ended_at": _text(queued),
            "ivr_outcome": "queued",
            "ivr_path": ["MAIN", "PASSPORT", "STATUS"],
            "legs": legs,
            "ended_at": _text(at),
        }


def webchat_session(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Chats of a few messages, half of them of customers who gave an address."""
    choose = random.Random(seed)
    for number in range(count):
        started = _START + timedelta(milliseconds=1_500 * number % 25_000_000_000)
        queued = started + timedelta(seconds=choose.randint(1, 20))
        accepted = queued + timedelta(milliseconds=choose.randint(0, 90_000))
        ended = accepted + timedelta(milliseconds=choose.randint(60_000, 900_000))
        said = [
            {
                "at": _text(accepted + timedelta(seconds=10 * place)),
                "from": ("agent", "customer")[place % 2],
                "text": text,
            }
            for place, text in enumerate(_SAID[: choose.randint(2, 5)])
        ]
        yield {
            "chat_id": str(uuid.UUID(int=choose.getrandbits(128))),
            "record_version": 1,
            "emitted_at": _text(ended + timedelta(seconds=5)),
            "customer_id": choose.choice((f"customer{choose.randint(1, 200_000)}@example.com", None)),
            "line_of_business": choose.choice(("PAL", "ABI", "DSLR", "PVS")),
            "language": "en",
            "entry_page": "/passport/status",
            "started_at": _text(started),
            "queued_at": _text(queued),
            "accepted_at": _text(accepted),
            "first_response_at": _text(accepted + timedelta(seconds=10)),
            "ended_at": _text(ended),
            "end_reason": "completed",
            "transfer_to": None,
            "agent_id": f"agent-{choose.randint(1, 300):04d}",
            "reason_codes": [f"R{choose.randint(1, 30):02d}"],
            "messages_customer": len(said) // 2,
            "messages_agent": len(said) - len(said) // 2,
            "transcript": said,
        }


def wip_extract(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Applications in progress, each once: of those of another seed, 3 % are of another content."""
    same, other = random.Random(0), random.Random(seed)
    for number in range(count):
        choose = same if number % 33 else other
        received = _START - timedelta(minutes=int(100_000 * choose.random()))
        entered = received + timedelta(minutes=int(20_000 * choose.random()))
        born, lives = int(29_000 * choose.random()), int(900 * choose.random())
        kind = int(1_000_000 * choose.random())
        yield {
            "application_ref": f"PEX{number:08d}",
            "surname": _SURNAMES[kind % 10],
            "date_of_birth": (_BORN + timedelta(days=born)).isoformat(),
            "postcode": f"ZZ{lives // 10 + 1} {lives % 9 + 1}ZZ",
            "application_type": ("renewal", "first_adult", "first_child", "replacement")[kind // 10 % 4],
            "channel": ("online", "paper")[kind // 40 % 2],
            "service": ("standard", "fast_track", "premium")[kind // 80 % 3],
            "region": "UK",
            "country": "GB",
            "received_at": _text(received),
            "stage": _STAGES[kind // 240 % 6],
            "stage_entered_at": _text(entered),
            "expected_by": _text(received + timedelta(days=21)),
            "delivery_partner_ref": f"DP{number:09d}" if kind // 1_440 % 2 else "",
            "csmt_owned": "NNNNY"[kind // 2_880 % 5],
            "last_updated_at": _text(entered),
        }


RECORDS: dict[str, Callable[[int, int], Iterator[dict[str, Any]]]] = {
    "telephony_call": telephony_call,
    "webchat_session": webchat_session,
    "wip_extract": wip_extract,
}
"""The interfaces that are measured."""


def write(folder: Path, interface: str, count: int, seed: int) -> Path:
    """Write a file of so many records, and give its path."""
    records = RECORDS[interface](count, seed)
    stem = f"{interface}_bench_202602{seed:02d}T000000Z_{seed}"
    if interface != "wip_extract":
        path = folder / f"{stem}.jsonl"
        encode = msgspec.json.Encoder().encode
        with path.open("wb") as file:
            file.writelines(encode(record) + b"\n" for record in records)
        return path
    path = folder / f"{stem}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for place, record in enumerate(records):
            if place == 0:
                writer.writerow(record)
            writer.writerow(record.values())
    return path


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds")[:23] + "Z"
