"""Figures of channels beside voice, of agents and of contacts: every row is what the oracle computes from the files.

Three increments with a build after each equal one full refresh, whatever the order in which the files came; a build
without anything new changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from ingestion.raw_tables import ensure_raw_tables
from tests.integration.test_contacts_equal_oracle import START, House, Outside, at, write
from tests.oracle.compare import assert_equal_rows
from tests.oracle.contact_volumes import ContactVolumes
from tests.oracle.periods import next_start, period_start
from tests.oracle.volumes import Volumes
from tests.oracle.workforce import DUTIES, Workforce

pytestmark = pytest.mark.services

TIMES = ("received_at", "started_at", "sent_at", "occurred_at", "since")
SHIFTS = [57_600, 57_600.000001]
"""Seconds: the longest shift, and a little more."""
LAST = START + timedelta(hours=90)
PERIOD = ("grain", "period_start", "line_of_business")
KEYS = {
    "webchat_volumes": PERIOD,
    "text_volumes": PERIOD,
    "agent_intervals": ("interval_start", "agent_id", "shown_lines"),
    "agent_occupancy": PERIOD,
    "agent_findings": ("agent_id", "since"),
    "contact_volumes": (*PERIOD, "channel", "language", "is_in_opening_hours"),
    "contact_reason_volumes": (*PERIOD, "channel", "reason_code", "is_in_opening_hours"),
    "complaint_volumes": (*PERIOD, "channel", "category_code"),
}


class World(Outside):
    """The rows of every interface, and what the figures of this file need beside them."""

    def __init__(self, seed: int, start: datetime = START) -> None:
        self.refused: set[tuple[str, int]] = set()
        super().__init__(seed, start)
        for number, row in enumerate(self.rows["webchat_session"]):
            row.update({"messages_customer": number % 7, "messages_agent": number % 5})
            if number % 4 == 0:  # on the very edge of a minute
                row.update(self.minute(row, number % 3))
        for row in self.rows["text_message"][::9]:
            row.update({"direction": "outbound", "delivered_at": None, "status": "accepted"})

    def complaint(self, number: int) -> None:
        """A complaint that is passed on and resolved, some while it waits for the next build, some later corrected."""
        received, passed_on, resolved = self.steps(self.moment(), 3)
        if number % 3 == 0:  # where a local day ends
            resolved = next_start("day", period_start("day", passed_on))
        row = {
            "complaint_id": f"k{number}",
            "received_at": at(received),
            "channel": self.random.choice(["email", "voice", "letter"]),
            "contact_id": self.random.choice([f"m{number}", f"c{number}", f"w{number}", f"b{number}", ""]),
            "line_of_business": self.random.choice(["PAL", "PVS", "elsewhere", ""]),
            "category_code": self.random.choice(["DELAY", "CONDUCT", ""]),
            "summary_code": "",
            "escalated_to_csmt_at": self.some(at(passed_on), 0.5) or "",
            "resolved_at": self.some(at(resolved), 0.5) or "",
            "outcome": "",
        }
        later = received + timedelta(hours=self.random.choice([0, 0, -15]))
        self.add(
            "complaint",
            row,
            contact_id=f"m{number + 20}",
            received_at=at(later),
            resolved_at=self.random.choice(["", at(resolved), at(resolved + timedelta(hours=20))]),
            line_of_business="ABI",
        )

    def others(self) -> None:
        """Days of agents: some states are entered at one instant, some are corrected to another agent, time or list."""
        lists = [["PAL"], ["ABI"], ["PVS", "PAL", "PAL"], [], ["elsewhere"], ["DSLR", "pal"]]
        for number in range(12):
            moment = self.moment(20)
            serves = self.random.choice(lists)
            for place in range(40):
                state = self.random.choice([*DUTIES, "offline"])
                if self.random.random() < 0.1:
                    serves = self.random.choice(lists)
                self.add(
                    "agent_state",
                    {
                        "event_id": f"n{number}-{self.random.randrange(10**6):06}-{place}",
                        "agent_id": f"g{number}",
                        "line_of_business": serves,
                        "state": state,
                        "since": at(moment),
                        "channel": "voice",
                    },
                    agent_id=f"g{number + (place % 5 == 0)}",
                    since=at(moment + timedelta(seconds=self.random.choice([0, 0, 100.5, -7200, 90_000]))),
                    state=self.random.choice([state, "offline", "in_call"]),
                    line_of_business=self.random.choice([serves, ["PVS"]]),
                )
                steps = [0, 0.000001, 40.25, 900, 1800, 5000, 30_000] * 3 + SHIFTS
                moment += timedelta(seconds=self.random.choice(steps))

    def moment(self, hours: float = 66) -> datetime:
        """An instant in the three days, often where a quarter hour begins or a microsecond beside it."""
        found = super().moment(hours)
        if self.random.random() < 0.6:
            return found
        edge = found - timedelta(
            minutes=found.minute % 15, seconds=found.second, microseconds=found.microsecond
        )
        return edge + timedelta(microseconds=self.random.choice([-1, 0, 0, 1]))

    def files(self, folder: Path) -> list[Path]:
        """The same with a bad row in each file that is long enough not to be refused for it."""
        written = super().files(folder)
        for number, path in enumerate(written):
            lines = path.read_bytes().splitlines()
            if path.suffix == ".jsonl" and len(lines) >= 20:
                place = self.random.randrange(len(lines))
                lines.insert(place, self.damaged(json.loads(lines[0]), number % 3))
                path.write_bytes(b"\n".join([*lines, b""]))
                self.refused.add((path.name, place + 1))
        return written

    def damaged(self, row: dict[str, Any], kind: int) -> bytes:
        """A row that would be counted in another line of business, were it not bad in one of three ways."""
        row = row | {"line_of_business": ["DSLR"] if "agent_id" in row and "state" in row else "DSLR"}
        row |= {name: text.removesuffix("Z") for name, text in row.items() if name in TIMES and kind == 1}
        if kind == 2:
            del row[next(iter(row))]
        return json.dumps(row).encode()[: -1 if kind == 0 else None]

    def minute(self, row: dict[str, Any], microseconds: int) -> dict[str, Any]:
        """An acceptance one minute, or a little more, after the chat joined the queue; the rest follows at once."""
        queued = datetime.fromisoformat(row["queued_at"] or row["started_at"])
        accepted = (queued + timedelta(seconds=60, microseconds=microseconds)).isoformat()
        return {
            "queued_at": queued.isoformat(),
            "accepted_at": accepted,
            "first_response_at": accepted,
            "ended_at": None,
            "end_reason": None,
        }


class Centre(House):
    """A warehouse, compared with the oracle of this file."""

    def compare(self, as_of: datetime) -> dict[str, int]:
        """Compare with the oracle; how many rows there were of each mart."""
        secret = self.settings.caller_hash_key.get_secret_value().encode()
        oracles = [
            kind(self.inbox, self.arrived, secret, as_of, self.refused)
            for kind in (Volumes, Workforce, ContactVolumes)
        ]
        counted = {}
        for table, key in KEYS.items():
            [oracle] = [each for each in oracles if hasattr(each, table)]
            expected, found = list(getattr(oracle, table)()), self.mart(table)
            if table == "agent_intervals":
                for row in (*expected, *found):
                    row["shown_lines"] = str(row["lines_of_business"])
            # Nothing on both sides is right until the first file of a channel has come.
            counted[table] = assert_equal_rows(expected, found, key) if expected or found else 0
        return counted


@pytest.fixture(scope="module")
def centre(warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    ensure_raw_tables(warehouse)
    yield Centre(warehouse, tmp_path_factory.mktemp("inbox"))


def test_figures_equal_the_oracle_in_increments_and_in_full(
    centre: Centre, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(20260329)
    files = world.files(tmp_path_factory.mktemp("sent"))
    centre.refused |= world.refused
    assert len(world.refused) > 12
    world.random.shuffle(files)
    rounds = [
        (files[:7], START + timedelta(hours=27)),
        (files[7:14], START + timedelta(hours=50, microseconds=1)),
        (files[14:], LAST),
    ]
    counted = {}
    for some, as_of in rounds:
        centre.arrive(some)
        centre.build(as_of)
        counted = centre.compare(as_of)
    assert all(count > (50 if table != "agent_findings" else 3) for table, count in counted.items()), counted
    assert_everything_was_met(centre)

    increments = {table: centre.whole(table) for table in KEYS}
    centre.build(LAST, full_refresh=True)
    assert centre.compare(LAST) == counted
    assert {table: centre.whole(table) for table in KEYS} == increments


def assert_everything_was_met(centre: Centre) -> None:
    """What the comparison is for was among the rows, or it proves nothing."""
    for mart, columns in {
        "webchat_volumes": (
            "chats_not_queued", "accepted_within_60s", "chats_accepted - accepted_within_60s", "abandoned_in_queue",
            "abandoned_in_chat", "transferred", "ended_idle", "forced_disconnects", "ended_without_reason",
            "open_chats", "waits_abandoned", "first_responses", "handled_chats", "messages_customer", "messages_agent",
            "chats_without_customer", "chats_in_welsh",
        ),
        "text_volumes": (
            "texts_received", "failed", "undelivered_yet", "deliveries_timed", "delivered - deliveries_timed",
        ),
        "complaint_volumes": ("complaints_received", "escalated_to_csmt", "resolved", "open_at_period_end"),
        "contact_volumes": ("contacts - inbound_contacts", "answered", "complaints"),
        "contact_reason_volumes": ("contacts_primary", "contacts_any - contacts_primary"),
        "agent_occupancy": ("hold_seconds", "training_seconds", "break_seconds", "busy_seconds", "agents - 2"),
    }.items():  # fmt: skip
        for column in columns:
            [met] = centre.rows(
                f"select coalesce(sum({column}), 0) as met from marts.{mart} "
                "where grain = 'day' and line_of_business = 'ALL'"
            )
            assert met["met"] > 0, (mart, column)
    [agents] = centre.rows(
        "select count(*) filter (where jsonb_array_length(lines_of_business) > 1) as of_several_lines, "
        "count(*) filter (where lines_of_business = '[\"UNMAPPED\"]') as unmapped, "
        "count(*) filter (where offline_seconds > 0) as partly_offline, "
        "count(*) filter (where ready_seconds = 0) as not_ready, "
        "count(*) filter (where unknown_seconds > 0) as not_heard_of, "
        "count(*) - count(distinct (agent_id, interval_start)) as of_two_lists from marts.agent_intervals"
    )
    assert all(agents.values()), agents


def test_nothing_new_changes_nothing(centre: Centre) -> None:
    before = {table: centre.whole(table) for table in KEYS}
    assert all(before.values())
    centre.build(LAST)
    assert {table: centre.whole(table) for table in KEYS} == before


def test_a_missing_file_is_said_and_is_forgotten_when_it_comes(centre: Centre, tmp_path: Path) -> None:
    """Although it tells nothing new, and although the other platform has a file of its number."""
    world = World(20260329)

    def late(sequence: int) -> list[Path]:
        stamp = START + timedelta(hours=79 + sequence)
        return [
            write(tmp_path, interface, stamp, sequence, rows[:1], "other")
            for interface, rows in world.rows.items()
        ]

    for sequences in ((1, 3), (2,)):
        centre.arrive([path for sequence in sequences for path in late(sequence)])
        centre.build(LAST)
        centre.compare(LAST)
        for table in KEYS.keys() - {"agent_intervals", "agent_findings", "contact_reason_volumes"}:
            incomplete = centre.rows(f"select grain from marts.{table} where not is_complete")
            assert bool(incomplete) == (sequences == (1, 3)), table


def test_a_late_record_changes_what_lies_behind_it_and_nothing_else(centre: Centre, tmp_path: Path) -> None:
    """A state of an agent counts up to the agent's next one; a complaint stays open from when it was received."""
    stamp = START + timedelta(hours=82)
    states = centre.rows(
        "select since from intermediate.int_agent_states where agent_id = 'g3' order by since"
    )
    moments = [row["since"] for row in states if row["since"] < LAST]
    entered, following = max(pairwise(moments), key=lambda pair: pair[1] - pair[0])
    entered += (following - entered) / 2
    state = {
        "event_id": "late", "agent_id": "g3", "line_of_business": ["DSLR"], "state": "hold", "since": at(entered),
        "channel": "voice",
    }  # fmt: skip
    complaint = World(8).rows["complaint"][0] | {
        "complaint_id": "late", "received_at": at(START + timedelta(hours=5)), "category_code": "LATE",
        "resolved_at": "", "escalated_to_csmt_at": "",
    }  # fmt: skip
    centre.arrive([write(tmp_path, "agent_state", stamp, 4, [state])])
    centre.arrive([write(tmp_path, "complaint", stamp, 4, [complaint])])
    centre.build(LAST)
    centre.compare(LAST)
    written = centre.rows(
        "select agent_id, interval_start from marts.agent_intervals "
        "where _build_id = (select max(build_id) from ops.builds)"
    )
    assert {row["agent_id"] for row in written} == {"g3"}
    assert min(row["interval_start"] for row in written) == period_start("15min", entered)
    assert max(row["interval_start"] for row in written) < following
    days = centre.rows(
        "select open_at_period_end as open from marts.complaint_volumes "
        "where category_code = 'LATE' and grain = 'day' and line_of_business = 'ALL' and channel = 'all'"
    )
    assert [day["open"] for day in days] == [1] * 5
