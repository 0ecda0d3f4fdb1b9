"""Call-backs and e-mails at the instants that are easily miscounted, in whatever order their files arrive.

Events lie on the edges of quarter hours and whole hours as often as not, over the nights on which the clocks go back
and the year ends; some are corrected to another time or another call-back. Files that arrive in another order, with
builds in between or without, give the same marts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.integration.test_contacts_equal_oracle import KEYS, House, at, write

pytestmark = pytest.mark.services

STARTS = {
    "the clocks go back": datetime(2026, 10, 24, 12, tzinfo=UTC),
    "the year ends": datetime(2025, 12, 31, 12, tzinfo=UTC),
}
LOOKS = [timedelta(minutes=minutes) for minutes in (547, 840, 1455, 1800)]
"""Within a quarter hour, at the end of an hour, at the end of a quarter hour, and when all is there."""
LINES = ["PAL", "ABI", None, "ALL"]
BACKLOG = [table for table in KEYS if table.startswith(("annex_b_callback", "email_"))]


class Edges:
    """Draws rows of calls, call-backs and e-mails."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.start = start
        self.random = random.Random(seed)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        for number in range(25):
            self.callback(number)
            self.email(number)
        for number in range(3):
            self.call(number)
        # An attempt at the very instant that each build but the last looks from.
        for place, moment in enumerate(start + look for look in (timedelta(), *LOOKS[:-1])):
            self.send(
                "callback_event",
                {
                    "event_id": f"edge-{place}",
                    "callback_id": "edge",
                    "channel": "voice",
                    "dialled_number": "+441632960001",
                    "event": "attempted" if place else "requested",
                    "occurred_at": at(moment),
                    **({"outcome": "no_answer"} if place else {}),
                },
            )

    def moment(self, after: datetime) -> datetime:
        """A quarter hour or a whole hour, or an instant just before or after it, or any other."""
        minutes = self.random.choice([15, 60])
        steps = self.random.choice([0, 0, 1, 2, 5, 20, 60])
        edge = after - timedelta(
            minutes=after.minute % minutes, seconds=after.second, microseconds=after.microsecond
        )
        edge += timedelta(
            minutes=minutes * steps, microseconds=self.random.choice([0, 0, 0, -1, 1, 400_000_000])
        )
        return max(edge, self.start)

    def send(self, interface: str, row: dict[str, Any]) -> None:
        self.rows.setdefault(interface, []).append(row)

    def callback(self, number: int) -> None:
        moment = self.moment(self.start + timedelta(hours=self.random.randint(0, 20)))
        for place, event in enumerate(
            ["requested", *self.random.choices(["attempted", "connected", "cancelled", "expired"], k=3)]
        ):
            row = {
                "event_id": f"e{number}-{place}",
                "callback_id": f"b{number}",
                "channel": "voice",
                "dialled_number": f"+44163296000{self.random.randint(1, 5)}",
                "event": event,
                "occurred_at": at(moment),
                "outcome": self.random.choice(["no_answer", "connected"]) if event == "attempted" else None,
            }
            if not (event == "requested" and number % 8 == 0):
                self.send("callback_event", row)
            if self.random.random() < 0.25:
                corrected = {"occurred_at": at(self.moment(moment)), "callback_id": f"b{number + number % 2}"}
                self.send("callback_event", row | corrected)
            if self.random.random() < 0.3:
                break
            # At the same instant, later, or (a clock that is wrong) before the request.
            moment = self.moment(moment - timedelta(hours=self.random.choice([0, 0, 0, 2])))

    def email(self, number: int) -> None:
        received = self.moment(self.start + timedelta(hours=self.random.randint(0, 20)))
        ends = [max(received, self.moment(received)) for _ in range(2)]
        row = {
            "message_id": f"m{number}",
            "record_version": 1,
            "emitted_at": at(received),
            "thread_id": "t",
            "direction": "inbound",
            "mailbox": "pal",
            "line_of_business": self.random.choice(LINES),
            "from_address": "one@example.com",
            "received_at": at(received),
            "replied_at": None,
            "agent_id": None,
            "reason_codes": [],
            "transferred_to": None,
            "transferred_at": None,
            "is_complaint": False,
        }
        self.send("email_message", row)
        if self.random.random() < 0.7:
            self.send("email_message", row | {"record_version": 2, "replied_at": at(ends[0])})
        if self.random.random() < 0.4:
            passed_on = {"record_version": 3, "transferred_to": "csmt", "transferred_at": at(ends[1])}
            kept = {"replied_at": self.random.choice([at(ends[0]), at(ends[1]), None])}
            self.send(
                "email_message", row | passed_on | kept | {"line_of_business": self.random.choice(LINES)}
            )

    def call(self, number: int) -> None:
        received = self.start + timedelta(hours=2 + number)
        self.send(
            "telephony_call",
            {
                "call_id": f"c{number}",
                "record_version": 1,
                "emitted_at": at(received),
                "is_test": False,
                "dialled_number": "+441632960001",
                "caller_number": None,
                "language": "en",
                "received_at": at(received),
                "ivr_outcome": "queued",
                "legs": [
                    {
                        "leg_no": 1,
                        "queue": "PAL_GENERAL",
                        "queued_at": at(received),
                        "left_at": at(received + timedelta(hours=number)),
                        "end_reason": "abandoned",
                    }
                ],
                "ended_at": at(received + timedelta(hours=number)),
            },
        )

    def files(self, folder: Path) -> list[Path]:
        """One file of calls, and of each other interface four with one number left out, which another platform used."""
        written = []
        for interface, rows in self.rows.items():
            shares: list[list[dict[str, Any]]] = [
                [] for _ in range(1 if interface == "telephony_call" else 5)
            ]
            for row in rows:
                self.random.choice(shares).append(row)
            for number, share in enumerate(shares, start=1):
                stamp = self.start + timedelta(hours=min(7 * number, 28))
                sequence, platform = (3, "other") if number == 5 else (number + (number > 2), "test")
                written.append(write(folder, interface, stamp, sequence, share, platform))
        return written


@pytest.mark.parametrize("night", STARTS)
def test_any_order_of_the_files_gives_the_same_marts(
    night: str, new_house: Callable[[], AbstractContextManager[House]], tmp_path: Path
) -> None:
    start = STARTS[night]
    end = start + LOOKS[-1]
    edges = Edges(20261025, start)
    sent = tmp_path / "sent"
    sent.mkdir()
    files = edges.files(sent)
    with new_house() as house:
        order = edges.random.sample(files, len(files))
        # The events of the edges are there in time.
        order.sort(key=lambda path: not path.name.startswith("callback_event"))
        rounds = (order[:5], order[5:6], order[6:9], order[9:])
        for some, as_of in zip(rounds, (start + look for look in LOOKS), strict=True):
            house.arrive(some)
            house.build(as_of)
            house.compare(as_of)
        assert all(house.compare(end)[table] for table in BACKLOG)
        for table in BACKLOG:
            said = house.rows(SQL("select distinct is_complete from marts.{}").format(Identifier(table)))
            assert {row["is_complete"] for row in said} == {True, False}, table
        findings = {
            row["finding"] for row in house.rows("select distinct finding from marts.backlog_findings")
        }
        assert findings >= {"never_requested", "resolved_before_it_began", "completed_after_resolution"}
        with pytest.raises(
            psycopg.errors.DatetimeFieldOverflow, match="ask for that instant or an earlier one"
        ):
            house.rows("select * from marts.callback_wip_at(%s)", [end + timedelta(microseconds=1)])
        first = {table: house.whole(table) for table in BACKLOG}
    with new_house() as house:
        house.arrive(edges.random.sample(files, len(files)))
        house.build(end)
        assert {table: house.whole(table) for table in BACKLOG} == first
