"""Files of every channel go in, contacts come out, and every row is what the oracle computes from the same files.

Three increments with a build after each equal one full refresh; a build without anything new changes nothing; files
of one interface do not make figures of another be written anew.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from rich.console import Console

from infra.postgres import connect
from infra.settings import Settings
from ingestion.contract import interfaces
from ingestion.raw_tables import ensure_raw_tables
from ingestion.run import ingest
from tests.oracle.backlog import Backlog
from tests.oracle.compare import assert_equal_rows
from transformation.build import build, has_new_files

pytestmark = pytest.mark.services

START = datetime(2026, 3, 28, 6, tzinfo=UTC)
"""The clocks go forward in the night after it."""
LINES = ["PAL", "ABI", "DSLR", "PVS", "pal", "ALL", "UNMAPPED", None]
CODES = ["FEES", "RENEWAL", "LOST_STOLEN", "COMPLAINT", "NOT_ON_ANY_LIST", "OTHER"]
NUMBERS = ["07700 900123", "+447700900123", "tel:+44-7700-900124", "anonymous", "", None, "unknown"]
ADDRESSES = ["One@Example.com", " one@example.com", "two@example.com", None, "no address"]
EVENTS = (
    "callback_event",
    "text_message",
    "complaint",
    "payment_confirmation",
    "agent_state",
    "queue_snapshot",
)
WIP_COLUMNS = (
    "application_ref", "surname", "date_of_birth", "postcode", "application_type", "channel", "service", "region",
    "country", "received_at", "stage", "stage_entered_at", "expected_by", "delivery_partner_ref", "csmt_owned",
    "last_updated_at",
)  # fmt: skip
KEYS = {
    "fct_contacts": ("contact_id",),
    "fct_contact_reasons": ("contact_id", "reason_code"),
    "wip_snapshot": ("file", "stage", "service", "channel", "region"),
    "annex_b_callbacks": ("grain", "period_start", "line"),
    "annex_b_callback_wip_age": ("snapshot_at", "line", "age_hours"),
    "annex_b_callback_completed_age": ("grain", "period_start", "line", "age_hours"),
    "email_volumes": ("grain", "period_start", "line"),
    "email_wip_age": ("snapshot_at", "line", "age_hours"),
    "email_completed_age": ("grain", "period_start", "line", "age_hours"),
}
FUNCTIONS = {"callback_wip_at": ("instant", "line"), "queue_at": ("instant", "queue", "line")}
NOT_OF_THE_ORACLE = {"_build_id", "_file_id", "_line_number"}
REBUILT = (*KEYS, "annex_b_calls", "annex_b_call_types")


def at(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z" if moment else None


class Outside:
    """Draws rows of every interface, a few of them wrong at first and corrected later."""

    def __init__(self, seed: int, start: datetime = START) -> None:
        self.start = start
        self.random = random.Random(seed)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[str] = []
        for draw in (self.call, self.chat, self.email, self.text, self.callback):
            for number in range(60):
                draw(number)
        for number in range(25):
            self.complaint(number)
        self.others()

    def moment(self, hours: float = 66) -> datetime:
        """An instant in the three days, to the microsecond, or often to the second."""
        seconds = self.random.uniform(0, hours * 3600)
        return self.start + timedelta(seconds=seconds if self.random.random() < 0.5 else round(seconds))

    def steps(self, first: datetime, count: int) -> list[datetime]:
        """Instants one after another, from seconds to hours apart; some lie at one instant."""
        found = [first]
        for _ in range(count - 1):
            found.append(
                found[-1] + timedelta(seconds=self.random.choice([0, 3, 29.5, 600.000001, 7200, 40_000]))
            )
        return found

    def codes(self) -> list[str]:
        return self.random.choices(CODES, k=self.random.choice([0, 0, 1, 1, 2, 3]))

    def some(self, value: Any, share: float = 0.7) -> Any:
        return value if self.random.random() < share else None

    def add(self, interface: str, row: dict[str, Any], **corrected: Any) -> None:
        self.rows.setdefault(interface, []).append(row)
        if self.random.random() < 0.15:
            self.rows[interface].append(row)  # sent twice
        if self.random.random() < 0.4:
            later = row | corrected
            if "record_version" in row:
                emitted = datetime.fromisoformat(row["emitted_at"]) + timedelta(minutes=5)
                same_version = self.random.random() < 0.2
                later |= {
                    "record_version": row["record_version"] + (0 if same_version else 1),
                    "emitted_at": row["emitted_at"] if self.random.random() < 0.1 else at(emitted),
                }
            self.rows[interface].append(later)

    def call(self, number: int) -> None:
        call_id = f"c{number}"
        self.calls.append(call_id)
        received = self.moment()
        outcome = self.random.choice(["queued"] * 5 + ["self_served", "abandoned", "forced_disconnect"])
        legs = []
        queued = received + timedelta(seconds=12)
        for leg_no in range(1, self.random.choice([1, 1, 2, 3]) + 1) if outcome == "queued" else ():
            queued, answered, left = self.steps(queued, 3)
            reason = self.random.choice(
                ["completed", "abandoned", "transferred", "flow_out", "forced_disconnect", None]
            )
            legs.append(
                {
                    "leg_no": leg_no,
                    "queue": "PAL_GENERAL",
                    "queued_at": at(queued),
                    "answered_at": self.some(at(answered)),
                    "left_at": self.some(at(left), 0.9),
                    "agent_id": f"a{leg_no}",
                    "wrap_seconds": self.some(7.25),
                    "end_reason": reason,
                    "transfer_to": self.random.choice(["2nd_line", "csmt", "other"])
                    if reason == "transferred"
                    else None,
                    "transfer_mode": self.random.choice(["warm", "cold"])
                    if reason == "transferred"
                    else None,
                    "reason_codes": self.codes(),
                }
            )
            queued = left
        is_open = number % 12 == 0
        for leg in legs if is_open else ():
            leg |= {"answered_at": None, "left_at": None, "end_reason": None}
        self.add(
            "telephony_call",
            {
                "call_id": call_id,
                "record_version": 1,
                "emitted_at": at(queued),
                "is_test": number % 20 == 0,
                "dialled_number": f"+44163296000{self.random.randint(1, 5)}",
                "caller_number": self.random.choice(NUMBERS),
                "language": self.random.choice(["en", "cy"]),
                "received_at": at(received),
                "ivr_outcome": outcome,
                "legs": legs,
                "ended_at": None if is_open else self.some(at(queued)),
            },
            received_at=at(received - timedelta(hours=self.random.choice([0, 20]))),
            dialled_number="+441632960002",
        )

    def chat(self, number: int) -> None:
        started, queued, accepted, answered, ended = self.steps(self.moment(), 5)
        accepted_or_not = self.some(at(accepted))
        reason = self.random.choice(
            ["completed", "abandoned_in_chat", "transferred", "idle", "forced_disconnect", None]
        )
        row = {
            "chat_id": f"w{number}",
            "record_version": 1,
            "emitted_at": at(ended),
            "customer_id": self.random.choice(ADDRESSES),
            "line_of_business": self.random.choice(LINES),
            "language": self.random.choice(["en", "cy"]),
            "started_at": at(started),
            "queued_at": self.some(at(queued), 0.9),
            "accepted_at": accepted_or_not,
            "first_response_at": at(answered) if accepted_or_not else None,
            "ended_at": self.some(at(ended), 0.8),
            "end_reason": reason if accepted_or_not else "abandoned_in_queue",
            "transfer_to": "csmt" if reason == "transferred" else None,
            "agent_id": "a7" if accepted_or_not else None,
            "reason_codes": self.codes(),
            "transcript": [{"at": at(started), "from": "customer", "text": "Where is it?"}],
        }
        self.add("webchat_session", row, reason_codes=self.codes(), line_of_business="PVS", end_reason="idle")

    def email(self, number: int) -> None:
        received, transferred, replied = self.steps(self.moment(), 3)
        inbound = self.random.random() < 0.7
        passed_on = self.random.random() < 0.3
        row = {
            "message_id": f"m{number}",
            "record_version": 1,
            "emitted_at": at(received),
            "thread_id": f"t{number // 3}",
            "direction": "inbound" if inbound else "outbound",
            "mailbox": "pal",
            "line_of_business": self.random.choice(LINES),
            "from_address": self.random.choice(ADDRESSES) if inbound else "ours@example.gov.uk",
            "received_at": at(received),
            "replied_at": self.some(at(replied)) if inbound else None,
            "agent_id": "a8",
            "reason_codes": self.codes(),
            "transferred_to": "csmt" if passed_on else None,
            "transferred_at": self.some(at(transferred)) if passed_on else None,
            "is_complaint": self.random.random() < 0.1,
        }
        self.add("email_message", row, replied_at=None, reason_codes=self.codes())

    def text(self, number: int) -> None:
        sent, delivered = self.steps(self.moment(), 2)
        row = {
            "message_id": f"s{number}",
            "direction": self.random.choice(["inbound", "outbound", "outbound"]),
            "to_or_from": self.random.choice(NUMBERS),
            "sent_at": at(sent),
            "delivered_at": self.some(at(delivered)),
            "status": self.random.choice(["delivered", "Delivered", "failed", "undelivered", "accepted"]),
            "related_call_id": self.some(self.random.choice([*self.calls, "c-never-came"])),
            "reason_codes": self.codes(),
        }
        self.add("text_message", row, status="rejected", delivered_at=None, related_call_id=None)

    def callback(self, number: int) -> None:
        moments = self.steps(self.moment(), 4)
        names = [
            "requested",
            "attempted",
            *self.random.sample(["attempted", "connected", "cancelled", "expired"], 2),
        ]
        for place, (name, moment) in enumerate(zip(names, moments, strict=True)):
            if name == "requested" and number % 10 == 0:
                continue  # never asked for
            row = {
                "event_id": f"e{number}-{place}",
                "callback_id": f"b{number}",
                "call_id": self.some(self.random.choice(self.calls)) if name == "requested" else None,
                "channel": "voice",
                "dialled_number": f"+44163296000{self.random.randint(1, 5)}",
                "event": name,
                "occurred_at": at(moment),
                "outcome": self.random.choice(["no_answer", "connected"]) if name == "attempted" else None,
                "agent_id": f"a{place}",
                "reason_codes": self.codes(),
            }
            # A corrected event may belong to the next call-back, or to another time.
            self.add(
                "callback_event",
                row,
                callback_id=f"b{number + (number % 4 == 0)}",
                occurred_at=at(moment + timedelta(hours=self.random.choice([0, -1, 30]))),
            )

    def complaint(self, number: int) -> None:
        """A complaint by the channel of the contact that it names, by letter, or by e-mail about another's number."""
        received_at = self.moment()
        named = self.random.choice([f"m{number}", f"c{number}", f"w{number}", f"b{number}", ""])
        channel = {"c": "voice", "w": "webchat", "b": "callback"}.get(named[:1], "email")
        row = {
            "complaint_id": f"k{number}",
            "received_at": at(received_at),
            "channel": channel if number % 3 else ("email", "letter")[number % 2],
            "contact_id": named,
            "line_of_business": "PAL",
            "category_code": "DELAY",
            "summary_code": "",
            "escalated_to_csmt_at": "",
            "resolved_at": "",
            "outcome": "",
        }
        self.add("complaint", row, contact_id=f"m{number + 20}")

    def others(self) -> None:
        """A little of what no contact is made of: a build must take it in and leave the contacts alone."""
        for number in range(4):
            self.add("agent_state", {"event_id": f"as{number}", "agent_id": "a1", "line_of_business": ["PAL"],
                                     "state": "available", "since": at(self.moment()), "channel": "voice"})  # fmt: skip
            self.add("payment_confirmation", {
                "payment_ref": f"p{number}", "taken_at": at(self.moment()), "amount_pence": 9450, "currency": "GBP",
                "method": "card", "status": "captured", "application_ref": "PEX1", "contact_id": "c1", "reason": "",
            })  # fmt: skip
            self.add("queue_snapshot", {
                "snapshot_at": at(self.moment()), "queue": "CSMT", "contacts_waiting": 0, "oldest_waiting_since": None,
                "agents_available": 1, "agents_in_call": 0, "agents_wrap_up": 0, "agents_staffed": 1,
            })  # fmt: skip

    def files(self, folder: Path) -> list[Path]:
        """The rows in three files for each interface, and a seventh of them in another order."""
        written = []
        for interface, rows in self.rows.items():
            shares: list[list[dict[str, Any]]] = [[], [], []]
            for row in rows:
                shares[self.random.randrange(3)].append(row)
            for sequence, share in enumerate(shares, start=1):
                stamp = self.start + timedelta(hours=24 * sequence)
                written.append(write(folder, interface, stamp, sequence, share))
        return written

    def extracts(self, folder: Path) -> list[Path]:
        """Five extracts: applications move on, are finished, and come back."""
        stages = ["received", "examination", "print"]
        written = []
        applications = {
            f"PEX{number}": {
                "received_at": START
                - timedelta(days=self.random.choice([0.3, 6.999, 7, 13, 21, 45, 70, 200])),
                "stage": "received",
                "stage_entered_at": START - timedelta(hours=self.random.randint(0, 5)),
                "service": self.random.choice(["standard", "fast_track"]),
                "channel": self.random.choice(["online", "paper"]),
                "region": self.random.choice(["UK", "INTL"]),
                "expected_by": self.some(START + timedelta(hours=self.random.choice([2, 26, 400])), 0.6),
                "csmt_owned": self.random.choice("YN"),
            }
            for number in range(80)
        }
        for sequence, hours in enumerate((2, 4, 30, 54, 65), start=1):
            stamp = START + timedelta(hours=hours)
            there = {ref: row for ref, row in applications.items() if self.random.random() < 0.9}
            for row in there.values():
                if self.random.random() < 0.3:
                    row |= {
                        "stage": self.random.choice(stages),
                        "stage_entered_at": stamp - timedelta(minutes=20),
                    }
            rows = [
                {
                    "application_ref": ref, "surname": "Example", "date_of_birth": "1980-02-29", "postcode": "ZZ1 1ZZ",
                    "application_type": "renewal", "country": "GB", "delivery_partner_ref": "",
                    "last_updated_at": at(row["stage_entered_at"]),
                    **row,
                    **{name: at(row[name]) or "" for name in ("received_at", "stage_entered_at", "expected_by")},
                }
                for ref, row in there.items()
            ]  # fmt: skip
            written.append(write(folder, "wip_extract", stamp, sequence, rows))
        return written


def write(
    folder: Path,
    interface: str,
    stamp: datetime,
    sequence: int,
    rows: Sequence[dict[str, Any]],
    platform: str = "test",
) -> Path:
    """Write a file as a sender would."""
    is_csv = interface in ("complaint", "payment_confirmation", "wip_extract")
    path = (
        folder
        / f"{interface}_{platform}_{stamp:%Y%m%dT%H%M%SZ}_{sequence:06d}.{'csv' if is_csv else 'jsonl'}"
    )
    assert rows
    with path.open("w", encoding="utf-8", newline="") as file:
        if is_csv:
            writer = csv.DictWriter(file, WIP_COLUMNS if interface == "wip_extract" else list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@dataclass
class House:
    """A warehouse, the folder that files arrive in, and the oracle's reading of the same."""

    settings: Settings
    inbox: Path
    arrived: list[str] = field(default_factory=list)
    refused: set[tuple[str, int]] = field(default_factory=set)
    """Rows, by the name of their file and their line, that break a rule: these are refused, and no other."""

    def arrive(self, files: Sequence[Path]) -> None:
        """Load files in the given order."""
        for path in files:
            target = self.inbox / path.name
            target.write_bytes(path.read_bytes())
            [interface] = [name for name in interfaces() if path.name.startswith(f"{name}_")]
            summary = ingest(self.settings, interface, str(target), console=Console(file=io.StringIO()))
            assert summary.files("loaded") == 1, summary.as_text()
            self.arrived.append(path.name)
        refused = self.rows("select file, line_number from quarantine.rows")
        assert {(row["file"], row["line_number"]) for row in refused} == {
            (name, line) for name, line in self.refused if name in self.arrived
        }

    def build(self, as_of: datetime, *, full_refresh: bool = False) -> None:
        """Build the marts; every dbt test must pass."""
        result = build(self.settings, as_of=as_of, full_refresh=full_refresh, report=lambda line: None)
        assert result.succeeded, result.as_text()
        assert result.full_refresh == (full_refresh or result.build_id == 1), result.reason

    def rows(self, statement: Any, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with connect(self.settings, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()  # type: ignore[return-value]

    def mart(self, table: str) -> list[dict[str, Any]]:
        """A mart without what only the warehouse knows; a file is named rather than numbered."""
        names = {row["file_id"]: row["name"] for row in self.rows("select file_id, name from ops.files")}
        found = self.rows(SQL("select * from marts.{}").format(Identifier(table)))
        for row in found:
            if table == "wip_snapshot":
                row["file"] = names[row.pop("file_id")]
                del row["extract_position"]
        return [
            {name: value for name, value in row.items() if name not in NOT_OF_THE_ORACLE} for row in found
        ]

    def whole(self, table: str) -> list[str]:
        """A mart to the last column but the number of the build, to be compared with itself."""
        rows = self.rows(SQL("select * from marts.{}").format(Identifier(table)))
        return sorted(str(sorted({**row, "_build_id": None}.items())) for row in rows)

    def compare(self, as_of: datetime) -> dict[str, int]:
        """Compare with the oracle; how many rows there were of each mart."""
        secret = self.settings.caller_hash_key.get_secret_value().encode()
        oracle = Backlog(self.inbox, self.arrived, secret, as_of, self.refused)
        self.compare_functions(oracle, as_of)
        counted = {}
        for table, key in KEYS.items():
            expected, found = list(getattr(oracle, table)()), self.mart(table)
            # Nothing on both sides is right until the first file of a channel has come.
            counted[table] = assert_equal_rows(expected, found, key) if expected or found else 0
        return counted

    def compare_functions(self, oracle: Backlog, as_of: datetime) -> None:
        """Ask for the state at, and just before, many of the instants at which it changes."""
        moments = oracle.moments()
        chosen = random.Random(1).sample(moments, min(len(moments), 150))
        instants = {at - timedelta(microseconds=each) for at in chosen for each in (0, 1)}
        instants |= {as_of, as_of - timedelta(days=400)}
        for function, key in FUNCTIONS.items():
            expected = [{"instant": at, **row} for at in instants for row in getattr(oracle, function)(at)]
            found = self.rows(
                SQL(
                    "select * from unnest(%s::timestamptz[]) as asked (instant) cross join lateral marts.{}(instant)"
                ).format(Identifier(function)),
                [list(instants)],
            )
            assert not (expected or found) or assert_equal_rows(expected, found, key)


@pytest.fixture(scope="module")
def house(warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    ensure_raw_tables(warehouse)
    yield House(warehouse, tmp_path_factory.mktemp("inbox"))


def test_contacts_equal_the_oracle_in_increments_and_in_full(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = Outside(20260328)
    sent = tmp_path_factory.mktemp("sent")
    files = outside.files(sent)
    outside.random.shuffle(files)
    extracts = outside.extracts(sent)  # the third and the fourth arrive before the instant they were made at
    last = START + timedelta(hours=90)
    rounds = [
        (files[:12], extracts[:3], START + timedelta(hours=27)),
        (files[12:24], extracts[3:4], START + timedelta(hours=50, microseconds=1)),
        (files[24:], extracts[4:], last),
    ]
    counted = {}
    for some, of_wip, as_of in rounds:
        house.arrive([*some, *of_wip])
        assert has_new_files(house.settings)
        house.build(as_of)
        counted = house.compare(as_of)
    assert counted["fct_contacts"] > 250
    assert counted["fct_contact_reasons"] > 250
    assert counted["wip_snapshot"] > 60
    assert all(counted.values()), counted
    assert not has_new_files(house.settings)
    assert_everything_was_met(house)

    increments = {table: house.whole(table) for table in REBUILT}
    house.build(last, full_refresh=True)
    assert house.compare(last) == counted
    assert {table: house.whole(table) for table in REBUILT} == increments


def assert_everything_was_met(house: House) -> None:
    """What the comparison is for was among the rows, or it proves nothing."""
    outcomes = {
        (row["channel"], row["outcome"])
        for row in house.rows("select distinct channel, outcome from marts.fct_contacts")
    }
    assert outcomes >= {
        ("voice", "answered"), ("voice", "open"), ("voice", "queue_flow_out"), ("webchat", "transferred"),
        ("webchat", "open"), ("webchat", "abandoned_in_queue"), ("webchat", "unknown"), ("email", "replied"),
        ("email", "transferred"), ("email", "open"), ("email", "sent"), ("text", "delivered"), ("text", "failed"),
        ("text", "sent"), ("text", "received"), ("callback", "connected"), ("callback", "cancelled"),
        ("callback", "expired"),
    }  # fmt: skip
    (met,) = house.rows(
        "select count(*) filter (where has_complaint) as complained, count(*) filter (where is_test) as tests, "
        "count(*) filter (where line_of_business = 'UNMAPPED') as unmapped, count(distinct customer_key) as customers, "
        "count(*) filter (where channel = 'callback' and queued_at is null) as never_asked_for from marts.fct_contacts"
    )
    assert all(met.values()), met
    unknown = house.rows("select channel, reason_code, contacts from marts.unknown_reason_codes")
    assert {(row["channel"], row["reason_code"]) for row in unknown} >= {
        (channel, "NOT_ON_ANY_LIST") for channel in ("voice", "webchat", "email", "text", "callback")
    }
    came_back = house.rows(
        "select application_key from raw.wip_extract group by application_key, _record_hash having count(*) > 1"
    )
    assert came_back


def test_nothing_new_changes_nothing(house: House) -> None:
    before = {table: house.whole(table) for table in REBUILT}
    assert all(before.values())
    house.build(START + timedelta(hours=90))
    assert {table: house.whole(table) for table in REBUILT} == before


def test_a_file_of_one_interface_leaves_the_figures_of_others_alone(house: House, tmp_path: Path) -> None:
    (last,) = house.rows("select as_of from ops.current_build")
    outside = Outside(1)
    stamp = START + timedelta(hours=80)
    complaint = outside.rows["complaint"][0] | {"complaint_id": "knew", "channel": "webchat"}
    written = [
        # A number is left out: what is missing of one interface does not make another incomplete.
        write(tmp_path, "queue_snapshot", stamp, 9, outside.rows["queue_snapshot"]),
        write(tmp_path, "complaint", stamp, 9, [complaint | {"contact_id": "w41"}]),
    ]
    house.arrive(written)
    assert has_new_files(house.settings)
    house.build(last["as_of"])
    house.compare(last["as_of"])
    written_anew = {
        table: {row["key"] for row in house.rows(SQL(
            "select {}::text as key from marts.{} where _build_id = (select max(build_id) from ops.builds)"
        ).format(Identifier(key), Identifier(table)))}
        for table, key in (("fct_calls", "call_id"), ("annex_b_calls", "period_start"), ("wip_snapshot", "file_id"))
    }  # fmt: skip
    assert written_anew == {"fct_calls": set(), "annex_b_calls": set(), "wip_snapshot": set()}
    contacts = house.rows(
        "select contact_id, has_complaint from marts.fct_contacts "
        "where _build_id = (select max(build_id) from ops.builds) and last_event_at <= %s",
        [last["as_of"]],
    )
    assert contacts == [{"contact_id": "webchat:w41", "has_complaint": True}]

    # Corrected, the complaint names another contact: the one that it named before has none any more.
    corrected = complaint | {"contact_id": "w42"}
    house.arrive([write(tmp_path, "complaint", stamp, 10, [corrected])])
    house.build(last["as_of"])
    house.compare(last["as_of"])
    complained = house.rows(
        "select source_id, has_complaint from marts.fct_contacts where source_id in ('w41', 'w42') order by 1"
    )
    assert complained == [
        {"source_id": "w41", "has_complaint": False},
        {"source_id": "w42", "has_complaint": True},
    ]


def test_the_single_view_of_a_customer_finds_call_backs_and_answers(house: House) -> None:
    """A call-back is found through its call, and our own e-mails through their thread."""
    seen: dict[str, set[str]] = {}
    for row in house.rows("select customer_key, contact_id, key_from from marts.fct_customer_contacts"):
        seen.setdefault(row["key_from"], set()).add(row["contact_id"])
    own = house.rows("select contact_id from marts.fct_contacts where customer_key is not null")
    assert seen["own"] == {row["contact_id"] for row in own}
    assert {contact.split(":")[0] for contact in seen["related_contact"]} >= {"callback"}
    assert {contact.split(":")[0] for contact in seen["conversation"]} == {"email"}


def test_analysts_see_the_current_extract_without_identity(house: House) -> None:
    (snapshot,) = house.rows(
        "select sum(applications) as applications, max(extracted_at) as extracted_at, sum(overdue) as overdue "
        "from marts.wip_snapshot where extract_position = (select max(extract_position) from marts.wip_snapshot)"
    )
    (current,) = house.rows(
        "select count(*) as applications, max(extracted_at) as extracted_at, "
        "count(*) filter (where is_overdue) as overdue from marts.wip_current_pseudonymised"
    )
    assert snapshot == current
    columns = {
        row["column_name"]
        for row in house.rows(
            "select column_name from information_schema.columns where table_name = 'wip_current_pseudonymised'"
        )
    }
    assert columns
    assert not columns & {"application_ref", "surname", "date_of_birth", "postcode", "delivery_partner_ref"}
