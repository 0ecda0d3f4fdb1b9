"""The interfaces beside the calls, judged by the files; their rules are written by hand, from their description."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.simulator import EVERY_INTERFACE, SimulationSummary, simulate
from infra.simulator.blemishes import Blemishes
from infra.simulator.interfaces import INTERFACES

LONDON = ZoneInfo("Europe/London")
MILLISECOND = timedelta(milliseconds=1)
LINES = {"+441632960001": "PAL", "+441632960002": "ABI", "+441632960003": "DSLR", "+441632960004": "PVS"}
# From the Sunday on which the clock changes to a Wednesday.
FIRST, LAST = date(2026, 3, 29), date(2026, 4, 1)
END = datetime.combine(LAST + timedelta(days=1), time(0), LONDON)
BESIDE_CALLS = [name for name in EVERY_INTERFACE if name != "telephony_call"]

# The interfaces, by hand. `!`: never absent or null; a tuple: one of these values.
Kind = str | tuple[str, ...]
RULES: dict[str, dict[str, Kind]] = {
    "callback_event": {
        "event_id": "text!",
        "callback_id": "text!",
        "call_id": "text",
        "channel": ("voice", "email", "webchat", "!"),
        "dialled_number": "text!",
        "event": ("requested", "attempted", "connected", "cancelled", "expired", "!"),
        "occurred_at": "time!",
        "outcome": ("connected", "no_answer", "busy", "failed"),
        "agent_id": "text",
        "reason_codes": "texts!",
    },
    "agent_state": {
        "event_id": "text!",
        "agent_id": "text!",
        "line_of_business": "texts!",
        "state": ("available", "in_call", "wrap_up", "hold", "break", "training", "offline", "!"),
        "since": "time!",
        "channel": ("voice", "webchat", "email", "!"),
    },
    "queue_snapshot": {
        "snapshot_at": "time!",
        "queue": "text!",
        "contacts_waiting": "number!",
        "oldest_waiting_since": "time",
        "agents_available": "number!",
        "agents_in_call": "number!",
        "agents_wrap_up": "number!",
        "agents_staffed": "number!",
    },
    "webchat_session": {
        "chat_id": "text!",
        "record_version": "version!",
        "emitted_at": "time!",
        "customer_id": "text",
        "line_of_business": "text",
        "language": ("en", "cy", "!"),
        "entry_page": "text!",
        "started_at": "time!",
        "queued_at": "time",
        "accepted_at": "time",
        "first_response_at": "time",
        "ended_at": "time",
        "end_reason": (
            "completed", "abandoned_in_queue", "abandoned_in_chat", "transferred", "idle", "forced_disconnect",
        ),
        "transfer_to": "text",
        "agent_id": "text",
        "reason_codes": "texts!",
        "messages_customer": "number!",
        "messages_agent": "number!",
        "transcript": "messages!",
    },
    "email_message": {
        "message_id": "text!",
        "record_version": "version!",
        "emitted_at": "time!",
        "thread_id": "text!",
        "direction": ("inbound", "outbound", "!"),
        "mailbox": "text!",
        "line_of_business": "text",
        "from_address": "text!",
        "received_at": "time!",
        "replied_at": "time",
        "agent_id": "text",
        "reason_codes": "texts!",
        "transferred_to": ("csmt",),
        "transferred_at": "time",
        "is_complaint": "flag!",
        "is_callback_request": "flag!",
    },
    "text_message": {
        "message_id": "text!",
        "direction": ("inbound", "outbound", "!"),
        "template_code": "text",
        "to_or_from": "text!",
        "sent_at": "time!",
        "delivered_at": "time",
        "status": "text!",
        "related_call_id": "text",
        "reason_codes": "texts!",
    },
    "wip_extract": {
        "application_ref": "text!",
        "surname": "text!",
        "date_of_birth": "date!",
        "postcode": "text!",
        "application_type": "text!",
        "channel": ("online", "paper", "!"),
        "service": ("standard", "fast_track", "premium", "!"),
        "region": ("UK", "INTL", "!"),
        "country": "text!",
        "received_at": "time!",
        "stage": "text!",
        "stage_entered_at": "time!",
        "expected_by": "time",
        "delivery_partner_ref": "text",
        "csmt_owned": ("Y", "N", "!"),
        "last_updated_at": "time!",
    },
    "complaint": {
        "complaint_id": "text!",
        "received_at": "time!",
        "channel": "text!",
        "contact_id": "text!",
        "line_of_business": "text!",
        "category_code": "text!",
        "summary_code": "text!",
        "escalated_to_csmt_at": "time",
        "resolved_at": "time",
        "outcome": "text",
    },
    "payment_confirmation": {
        "payment_ref": "text!",
        "taken_at": "time!",
        "amount_pence": "digits!",
        "currency": "text!",
        "method": "text!",
        "status": "text!",
        "application_ref": "text!",
        "contact_id": "text!",
        "reason": "text",
    },
}  # fmt: skip
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


@cache
def at(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def is_time(value: object) -> bool:
    if not isinstance(value, str) or TIMESTAMP.fullmatch(value) is None:
        return False
    try:
        return datetime(1990, 1, 1, tzinfo=UTC) <= at(value) <= datetime(2026, 12, 31, tzinfo=UTC)
    except ValueError:
        return False


def is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def is_whole(value: object) -> bool:
    return type(value) is int and value >= 0


CHECKS = {
    "text": lambda value: isinstance(value, str) and value != "",
    "time": is_time,
    "date": is_date,
    "number": is_whole,
    "version": lambda value: is_whole(value) and value > 0,
    "digits": lambda value: isinstance(value, str) and value.isdigit(),
    "flag": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "messages": lambda value: (
        isinstance(value, list)
        and all(
            set(item) == {"at", "from", "text"}
            and is_time(item["at"])
            and item["from"] in ("customer", "agent")
            for item in value
        )
    ),
}


def is_good(name: str, record: object) -> bool:
    if not isinstance(record, dict):
        return False
    for field, kind in RULES[name].items():
        value = record.get(field)
        if value is None:
            if kind[-1] == "!":
                return False
        elif isinstance(kind, tuple):
            if value not in kind[: -1 if kind[-1] == "!" else None]:
                return False
        elif not CHECKS[kind.removesuffix("!")](value):
            return False
    return True


@dataclass
class Run:
    """One simulation, read back: by interface and file, good records and the number of bad ones."""

    summary: SimulationSummary
    good: dict[str, dict[Path, list[dict[str, Any]]]]
    bad: dict[str, dict[Path, int]]

    def records(self, name: str) -> list[dict[str, Any]]:
        found = [record for records in self.good[name].values() for record in records]
        assert found
        return found

    def current(self, name: str, key: str) -> dict[str, dict[str, Any]]:
        newest: dict[str, dict[str, Any]] = {}
        for record in self.records(name):
            known = newest.get(record[key])
            if known is None or record["record_version"] > known["record_version"]:
                newest[record[key]] = record
        return newest

    def distinct(self, name: str, key: str) -> list[dict[str, Any]]:
        return list({record[key]: record for record in self.records(name)}.values())


def table(text: str) -> list[dict[str, Any] | None]:
    """Read a CSV file; a ragged row is None, and an empty cell is null."""
    header, *rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    return [
        {name: cell or None for name, cell in zip(header, row, strict=True)}
        if len(row) == len(header)
        else None
        for row in rows
    ]


def decoded(row: str) -> object:
    try:
        return json.loads(row)
    except ValueError:
        return None


def read(summary: SimulationSummary) -> Run:
    run = Run(summary, defaultdict(dict), defaultdict(dict))
    for path in sorted(summary.folder.glob("*.gz")):
        name = path.name.partition("_sim_")[0]
        text = gzip.decompress(path.read_bytes()).decode()
        records = table(text) if ".csv" in path.suffixes else [decoded(row) for row in text.splitlines()]
        good = [
            record
            for record in records
            if isinstance(record, dict) and (name == "telephony_call" or is_good(name, record))
        ]
        run.good[name][path], run.bad[name][path] = good, len(records) - len(good)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("simulated")
    return read(
        simulate(
            folder,
            days=4,
            seed=5,
            calls_per_day=2_500,
            last_day=LAST,
            bad_row_share=0.02,
            wip_applications=800,
        )
    )


@pytest.fixture(scope="module")
def calls(run: Run) -> dict[str, dict[str, Any]]:
    """Give the newest good version of each call, of those without bad fields that matter here."""
    newest: dict[str, dict[str, Any]] = {}
    clean = simulate(
        run.summary.folder.parent / "clean",
        days=4,
        seed=5,
        calls_per_day=2_500,
        last_day=LAST,
        bad_row_share=0,
        interfaces=["telephony_call"],
    )
    for path in sorted(clean.folder.glob("*.gz")):
        for row in gzip.decompress(path.read_bytes()).splitlines():
            record = json.loads(row)
            known = newest.get(record["call_id"])
            if known is None or record["record_version"] > known["record_version"]:
                newest[record["call_id"]] = record
    return newest


def file_stamp(path: Path) -> datetime:
    return datetime.strptime(path.name.split("_")[-2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


# Files and rows


@pytest.mark.parametrize("name", BESIDE_CALLS)
def test_files_are_named_as_agreed(run: Run, name: str) -> None:
    paths = list(run.good[name])
    suffix = "csv" if name in ("wip_extract", "complaint", "payment_confirmation") else "jsonl"
    matches = [
        re.fullmatch(rf"{name}_sim_(\d{{8}}T\d{{6}}Z)_(\d{{6}})\.{suffix}\.gz", path.name) for path in paths
    ]
    assert all(matches)
    assert sorted(int(match[2]) for match in matches if match) == list(range(1, len(paths) + 1))
    stamps = sorted(map(file_stamp, paths))
    assert len(set(stamps)) == len(stamps)
    assert stamps[-1] <= END
    if name in ("complaint", "payment_confirmation"):
        days = [FIRST + timedelta(days=number) for number in range(1, 5)]
        # On a quiet Sunday nobody may complain.
        assert set(stamps) <= {datetime.combine(day, time(0), LONDON) for day in days}
        assert len(stamps) >= 3
    else:
        assert all(stamp.hour % 2 == 0 for stamp in stamps if stamp != END)
        assert all((stamp.minute, stamp.second) == (0, 0) for stamp in stamps)


def test_most_files_have_a_digest_that_is_right(run: Run) -> None:
    folder = run.summary.folder
    files, digests = list(folder.glob("*.gz")), list(folder.glob("*.sha256"))
    assert 0.8 * len(files) < len(digests) < len(files)
    for digest in digests:
        value, name = digest.read_text().split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == value
    assert {path.suffix for path in folder.iterdir()} == {".gz", ".sha256"}


@pytest.mark.parametrize("name", BESIDE_CALLS)
def test_bad_rows_are_as_many_as_stated_and_never_too_many(run: Run, name: str) -> None:
    counts = run.summary.interfaces[name]
    good, bad = run.good[name], run.bad[name]
    assert counts.files == len(good)
    assert counts.bytes == sum(path.stat().st_size for path in good)
    assert counts.rows == sum(map(len, good.values())) + sum(bad.values())
    assert sum(counts.bad_rows.values()) == sum(bad.values())
    assert sum(bad.values()) > 0 or name == "complaint"  # whose files are too short for one in twenty
    assert max(bad[path] / (bad[path] + len(good[path])) for path in good if good[path]) <= 0.05
    if counts.rows > 3_000 and name != "wip_extract":
        assert sum(bad.values()) / counts.rows == pytest.approx(0.02, abs=0.006)


def test_bad_rows_of_a_large_interface_are_of_every_kind(run: Run) -> None:
    kinds = run.summary.interfaces["agent_state"].bad_rows
    assert {
        "invalid JSON",
        "not an object",
        "since without offset",
        "state unknown",
        "event_id missing",
    } <= set(kinds)
    assert len(kinds) == 15
    assert len(run.summary.interfaces["wip_extract"].bad_rows) > 5


@pytest.mark.parametrize("name", BESIDE_CALLS)
def test_every_kind_of_bad_row_is_bad(run: Run, name: str) -> None:
    """One row of each kind, made of good ones: none passes for good, and none is more than one row."""
    interface = INTERFACES[name]
    path = next(path for path, records in run.good[name].items() if len(records) > 3)
    content = gzip.decompress(path.read_bytes()).decode().removeprefix("\ufeff")
    header, *rows = content.splitlines() if interface.is_csv else ["", *content.splitlines()]
    if interface.is_csv and header != ",".join(interface.fields):
        header, rows = ",".join(interface.fields), [row.rpartition(",")[0] for row in rows]
    good = [
        row.encode()
        for row in rows
        if (table(f"{header}\n{row}")[0] if interface.is_csv else decoded(row)) in run.good[name][path]
        or (interface.is_csv and is_good(name, table(f"{header}\n{row}")[0]))
    ]
    assert good
    damage = Blemishes(interface, Random(1))
    kinds = dict(damaged for damaged in (damage.damage(good) for _ in range(60)) if damaged)
    assert len(kinds) >= 8
    for kind, row in kinds.items():
        text = row.decode()
        records = table(f"{header}\n{text}") if interface.is_csv else [decoded(text)]
        assert len(records) == 1
        assert not is_good(name, records[0]), kind


def test_rows_come_late_twice_in_the_wrong_order_and_with_unknown_fields(run: Run) -> None:
    keys = {
        "callback_event": "event_id",
        "agent_state": "event_id",
        "webchat_session": "chat_id",
        "email_message": "message_id",
        "text_message": "message_id",
    }
    unknown = 0
    for name, key in keys.items():
        counts = run.summary.interfaces[name]
        seen = Counter((record[key], record.get("record_version")) for record in run.records(name))
        assert counts.duplicates == sum(seen.values()) - len(seen)
        unknown += sum(not record.keys() <= RULES[name].keys() for record in run.records(name))
        assert unknown >= sum(not record.keys() <= RULES[name].keys() for record in run.records(name))
    assert unknown > 0
    summaries = [run.summary.interfaces[name] for name in BESIDE_CALLS]
    assert sum(counts.late for counts in summaries) > 50
    assert sum(counts.duplicates for counts in summaries) > 100
    turns = [
        [file_stamp(path) for path in sorted(run.good[name], key=lambda path: path.name.split("_")[-1])]
        for name in BESIDE_CALLS
    ]
    assert any(stamps != sorted(stamps) for stamps in turns), "a file is handed over after a later one"


@pytest.mark.parametrize("name", BESIDE_CALLS)
def test_no_row_knows_the_future(run: Run, name: str) -> None:
    fields = [
        field for field, kind in RULES[name].items() if kind in ("time", "time!") and field != "expected_by"
    ]
    for path, records in run.good[name].items():
        closed = file_stamp(path)
        for record in records:
            stamps = [at(record[field]) for field in fields if record.get(field)]
            stamps += [at(message["at"]) for message in record.get("transcript", ())]
            latest = max(stamps)
            assert latest <= closed
            if "emitted_at" in record:
                assert latest == at(record["emitted_at"])


@pytest.mark.parametrize("name", BESIDE_CALLS)
def test_timestamps_are_written_in_local_time_too(run: Run, name: str) -> None:
    field = next(field for field, kind in RULES[name].items() if kind == "time!")
    ends = Counter(re.sub(r".*(Z|[+-]\d\d:\d\d)$", r"\1", record[field]) for record in run.records(name))
    assert {"Z", "+01:00"} <= set(ends)
    assert 0.1 < 1 - ends["Z"] / ends.total() < 0.35


def everything(folder: Path, pattern: str = "*") -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob(pattern)}


def test_the_same_arguments_give_the_same_bytes_whatever_else_is_written(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "days": 1,
        "seed": 3,
        "calls_per_day": 300,
        "last_day": LAST,
        "wip_applications": 50,
    }
    simulate(tmp_path / "all", **arguments)
    there = (
        "import datetime, pathlib, sys; from infra.simulator import simulate; "
        "simulate(pathlib.Path(sys.argv[1]), days=1, seed=3, calls_per_day=300, "
        "last_day=datetime.date(2026, 4, 1), wip_applications=50)"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONHASHSEED": "11", "TZ": "Asia/Tokyo", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", there, str(tmp_path / "there")], check=True, env=environment)
    assert len(everything(tmp_path / "all")) > 100
    assert everything(tmp_path / "all") == everything(tmp_path / "there")
    for name in EVERY_INTERFACE:
        summary = simulate(tmp_path / name, interfaces=[name], **arguments)
        assert list(summary.interfaces) == [name]
        assert everything(tmp_path / name) == everything(tmp_path / "all", f"{name}_sim_*")
    simulate(tmp_path / "other", **(arguments | {"seed": 4}))
    assert everything(tmp_path / "all") != everything(tmp_path / "other")


def test_calls_alone_are_the_calls_of_all(run: Run, tmp_path: Path) -> None:
    summary = simulate(
        tmp_path,
        days=4,
        seed=5,
        calls_per_day=2_500,
        last_day=LAST,
        bad_row_share=0.02,
        interfaces=("telephony_call",),
    )
    assert everything(tmp_path) == everything(run.summary.folder, "telephony_call_sim_*")
    assert summary.traffic == run.summary.traffic
    assert summary.other_traffic == {}


# Call-backs


def test_call_backs_follow_from_legs_that_ask_for_them(run: Run, calls: dict[str, dict[str, Any]]) -> None:
    requests = {
        event["call_id"]: event
        for event in run.records("callback_event")
        if event["event"] == "requested" and event["channel"] == "voice"
    }
    asked = {
        call["call_id"]: leg
        for call in calls.values()
        for leg in call["legs"]
        if leg.get("end_reason") == "callback_requested"
    }
    assert len(asked) > 20
    assert len(set(asked) ^ set(requests)) <= 0.05 * len(asked)  # a row may come after the end
    for call_id in set(asked) & set(requests):
        assert at(requests[call_id]["occurred_at"]) == at(asked[call_id]["left_at"])
        assert requests[call_id]["dialled_number"] == calls[call_id]["dialled_number"]


def test_each_call_back_is_one_story(run: Run) -> None:
    stories: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in run.distinct("callback_event", "event_id"):
        stories[event["callback_id"]].append(event)
    endings: Counter[str] = Counter()
    whole = 0
    for story in stories.values():
        story.sort(key=lambda event: at(event["occurred_at"]))
        for event in story:
            assert (event.get("outcome") is not None) == (event["event"] == "attempted")
            assert (event["agent_id"] is not None) == (event["event"] in ("attempted", "connected"))
        assert len({(event["channel"], event["call_id"], event["dialled_number"]) for event in story}) == 1
        assert (story[0]["channel"] == "voice") == (story[0]["call_id"] is not None)
        kinds = [event["event"] for event in story]
        whole += kinds[0] == "requested" and kinds.count("requested") == 1
        ends = [kind for kind in kinds if kind in ("connected", "cancelled", "expired")]
        assert len(ends) <= 1
        if ends:
            assert kinds[-1] == ends[0]
            endings[ends[0]] += 1
    assert whole > 0.97 * len(stories)
    assert endings["connected"] > 20 < len(stories)
    assert endings["cancelled"] > 0
    outcomes = {event["outcome"] for event in run.records("callback_event")}
    assert outcomes == {None, "connected", "no_answer", "busy", "failed"}


def test_call_backs_by_other_channels_name_their_contact(run: Run) -> None:
    emails = run.current("email_message", "message_id")
    chats = run.current("webchat_session", "chat_id")
    requests = [
        event for event in run.distinct("callback_event", "event_id") if event["event"] == "requested"
    ]
    found: Counter[str] = Counter()
    for request in requests:
        contact = request["callback_id"].removeprefix("CB-")
        if request["channel"] == "email" and contact in emails:
            found["email"] += 1
            assert emails[contact]["is_callback_request"]
            assert emails[contact]["mailbox"] == "csmt@example.org"
            assert abs(at(emails[contact]["received_at"]) - at(request["occurred_at"])) <= MILLISECOND
            assert LINES[request["dialled_number"]] == emails[contact]["line_of_business"]
        elif request["channel"] == "webchat" and contact in chats:
            found["webchat"] += 1
    by_channel = Counter(request["channel"] for request in requests)
    assert found["email"] > 0.97 * by_channel["email"] > 10
    assert found["webchat"] >= by_channel["webchat"] - 1 > 5


# Agents and queues


@pytest.fixture(scope="module")
def shifts(run: Run) -> dict[str, list[tuple[datetime, str, str]]]:
    """Give the states of everybody in order of time: since when, state, channel."""
    found: defaultdict[str, list[tuple[datetime, str, str]]] = defaultdict(list)
    for event in run.distinct("agent_state", "event_id"):
        found[event["agent_id"]].append((at(event["since"]), event["state"], event["channel"]))
    for states in found.values():
        states.sort()
    return found


def test_agents_are_in_one_state_at_a_time(shifts: dict[str, list[tuple[datetime, str, str]]]) -> None:
    follows: Counter[tuple[str, str]] = Counter()
    for states in shifts.values():
        assert len({channel for _, _, channel in states}) == 1
        assert states[0][1] in ("available", "training", "in_call")
        for (since, state, _), (until, following, _) in pairwise(states):
            assert since < until
            follows[state, following] += 1
    allowed = {
        ("offline", "available"), ("offline", "training"), ("training", "available"),
        ("available", "in_call"), ("available", "break"), ("available", "offline"),
        ("in_call", "hold"), ("hold", "in_call"), ("in_call", "wrap_up"), ("in_call", "available"),
        ("in_call", "break"), ("in_call", "offline"),
        ("wrap_up", "available"), ("wrap_up", "break"), ("wrap_up", "offline"), ("wrap_up", "in_call"),
        ("break", "available"), ("break", "in_call"), ("offline", "in_call"), ("training", "in_call"),
    }  # fmt: skip
    strange = sum(count for pair, count in follows.items() if pair not in allowed)
    # Each row that comes after the end leaves a gap.
    assert strange < 0.01 * follows.total()
    usual = {pair for pair in allowed if pair[0] not in ("in_call", "training") and pair[1] != "in_call"}
    assert usual <= set(follows)
    assert {channel for states in shifts.values() for _, _, channel in states} == {
        "voice",
        "webchat",
        "email",
    }


def test_agents_are_in_a_call_when_the_calls_say_so(
    shifts: dict[str, list[tuple[datetime, str, str]]], calls: dict[str, dict[str, Any]]
) -> None:
    legs = [
        leg
        for call in calls.values()
        for leg in call["legs"]
        if leg.get("answered_at") and leg.get("left_at")
    ]
    assert len(legs) > 3_000
    answered = ended = wrapped = 0
    for leg in legs:
        states = shifts[leg["agent_id"]]
        sinces = [since for since, _, _ in states]

        def state_at(when: datetime, states: Any = states, sinces: Any = sinces) -> tuple[datetime, str]:
            place = bisect_right(sinces, when + MILLISECOND) - 1
            return (states[place][0], states[place][1]) if place >= 0 else (when, "nobody")

        since, state = state_at(at(leg["answered_at"]))
        answered += state == "in_call" and abs(since - at(leg["answered_at"])) <= MILLISECOND
        since, state = state_at(at(leg["left_at"]))
        ended += state not in ("in_call", "hold") and abs(since - at(leg["left_at"])) <= MILLISECOND
        if leg.get("wrap_seconds"):
            over = at(leg["left_at"]) + timedelta(seconds=leg["wrap_seconds"])
            wrapped += state == "wrap_up" and abs(state_at(over)[0] - over) <= MILLISECOND
    assert answered > 0.99 * len(legs)
    assert ended > 0.99 * len(legs)
    assert wrapped > 0.98 * sum(bool(leg.get("wrap_seconds")) for leg in legs)

    starts = {(leg["agent_id"], at(leg["answered_at"]).timestamp() // 1) for leg in legs}
    talks = [
        (agent_id, since.timestamp() // 1)
        for agent_id, states in shifts.items()
        for (_, before, _), (since, state, _) in pairwise(states)
        if agent_id.startswith("A") and state == "in_call" and before != "hold"
    ]
    assert sum(talk in starts for talk in talks) > 0.985 * len(talks) > 3_000


def test_snapshots_are_what_a_recount_gives(run: Run, calls: dict[str, dict[str, Any]]) -> None:
    spans: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)

    def add(queue: str, what: str, since: float, until: float) -> None:
        spans[queue, what].append((since, until))

    for call in calls.values():
        for leg in call["legs"]:
            queued, left = (
                at(leg["queued_at"]).timestamp(),
                leg.get("left_at") and at(leg["left_at"]).timestamp(),
            )
            answered = leg.get("answered_at") and at(leg["answered_at"]).timestamp()
            add(leg["queue"], "contacts_waiting", queued, answered or left or END.timestamp())
            if answered:
                add(leg["queue"], "agents_in_call", answered, left or END.timestamp())
            if answered and left and leg.get("wrap_seconds"):
                add(leg["queue"], "agents_wrap_up", left, left + leg["wrap_seconds"])
    # How many lie over an instant = how many have begun - how many have ended.
    edges = {key: (sorted(a for a, _ in found), sorted(b for _, b in found)) for key, found in spans.items()}
    rows = {(at(row["snapshot_at"]), row["queue"]): row for row in run.records("queue_snapshot")}
    agree: Counter[str] = Counter()
    waiting = 0
    for (when, queue), row in rows.items():
        assert row["agents_staffed"] == sum(
            row[f"agents_{state}"] for state in ("available", "in_call", "wrap_up")
        )
        assert (row["oldest_waiting_since"] is None) == (row["contacts_waiting"] == 0)
        moment = when.timestamp()
        for what in ("contacts_waiting", "agents_in_call", "agents_wrap_up"):
            begun, ended = edges.get((queue, what), ([], []))
            agree[what] += row[what] == bisect_right(begun, moment) - bisect_right(ended, moment)
        if row["contacts_waiting"]:
            waiting += 1
            oldest = min(a for a, b in spans[queue, "contacts_waiting"] if a <= moment < b)
            agree["oldest"] += abs(at(row["oldest_waiting_since"]).timestamp() - oldest) < 0.002
    assert waiting > 200
    assert agree["oldest"] > 0.98 * waiting
    assert agree["contacts_waiting"] > 0.999 * len(rows)
    assert agree["agents_in_call"] > 0.995 * len(rows)
    assert agree["agents_wrap_up"] > 0.97 * len(rows)  # the wrap-up of some legs is never heard of


def test_snapshots_are_taken_every_half_minute_while_a_queue_is_open(run: Run) -> None:
    taken: defaultdict[tuple[str, date], list[datetime]] = defaultdict(list)
    for row in run.records("queue_snapshot"):
        when = at(row["snapshot_at"]).astimezone(LONDON)
        taken[row["queue"], when.date()].append(when)
    pal = sorted(set(taken["PAL_GENERAL", LAST]))
    assert pal[0].time() == time(8, 0)
    assert pal[-1].time() == time(20, 10)
    gaps = Counter(later - earlier for earlier, later in pairwise(pal))
    assert gaps[timedelta(seconds=30)] > 0.98 * len(pal)
    assert ("PVS_GENERAL", FIRST) not in taken
    assert min(taken["PAL_GENERAL", FIRST]).time() == time(9, 0)
    assert {queue for queue, _ in taken} == {
        *(f"{line}_{level}" for line in LINES.values() for level in ("GENERAL", "2ND")), "CSMT",
    }  # fmt: skip


# Contacts in writing


def test_chats_hold_together_over_their_versions(run: Run) -> None:
    by_chat: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for record in run.records("webchat_session"):
        by_chat[record["chat_id"]][record["record_version"]] = record
        times = [
            at(record[field])
            for field in ("started_at", "queued_at", "accepted_at", "first_response_at", "ended_at")
            if record.get(field)
        ]
        assert times == sorted(times)
        authors = Counter(message["from"] for message in record["transcript"])
        assert (authors["customer"], authors["agent"]) == (
            record["messages_customer"],
            record["messages_agent"],
        )
        assert (record.get("ended_at") is None) == (record.get("end_reason") is None)
        assert (record.get("transfer_to") is not None) == (record.get("end_reason") == "transferred")
        assert (record.get("accepted_at") is not None) == (record.get("agent_id") is not None)
        customer = record.get("customer_id")
        assert customer is None or re.fullmatch(
            r"\s*customer\d+@example\.(com|org)\s*", customer, re.IGNORECASE
        )
    assert len(by_chat) > 800
    opened = 0
    for versions in by_chat.values():
        ordered = [versions[number] for number in sorted(versions)]
        opened += ordered[0].get("ended_at") is None
        for old, new in pairwise(ordered):
            assert at(old["emitted_at"]) < at(new["emitted_at"])
            for field in ("started_at", "queued_at", "accepted_at", "ended_at", "end_reason", "agent_id"):
                assert old.get(field) in (None, new.get(field))
    assert opened > 20
    reasons = {record.get("end_reason") for record in run.records("webchat_session")}
    assert reasons == {None, *(kind for kind in RULES["webchat_session"]["end_reason"])}


def test_some_chats_hold_card_numbers(run: Run) -> None:
    def passes_luhn(digits: str) -> bool:
        doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
        return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0

    found = set()
    for record in run.records("webchat_session"):
        for message in record["transcript"]:
            for match in re.findall(r"\d(?:[ -]?\d){12,18}", message["text"]):
                digits = re.sub(r"\D", "", match)
                assert passes_luhn(digits)
                found.add(record["chat_id"])
    assert 0 < len(found) < 0.02 * len(run.current("webchat_session", "chat_id"))


def test_emails_are_answered_in_their_thread(run: Run) -> None:
    messages = run.current("email_message", "message_id")
    threads: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages.values():
        threads[message["thread_id"]].append(message)
        assert message["from_address"].strip().lower().endswith(("@example.com", "@example.org"))
        assert message["mailbox"].endswith("@example.org")
        assert (message["transferred_to"] is None) == (message["transferred_at"] is None)
        for field in ("replied_at", "transferred_at"):
            assert message[field] is None or at(message["received_at"]) < at(message[field])
    replies = {
        (m["thread_id"], at(m["received_at"])) for m in messages.values() if m["direction"] == "outbound"
    }
    asked = [m for m in messages.values() if m["direction"] == "inbound" and not m["is_callback_request"]]
    answered = [m for m in asked if m["replied_at"]]
    assert len(replies) > 500
    assert sum((m["thread_id"], at(m["replied_at"])) in replies for m in answered) > 0.98 * len(answered)
    assert 0.6 < len(answered) / len(asked) < 0.97
    assert any(m["transferred_to"] == "csmt" for m in asked)
    assert any(m["is_complaint"] for m in asked)
    assert any(sum(m["direction"] == "inbound" for m in thread) > 1 for thread in threads.values())
    for message in run.records("email_message"):
        if message["record_version"] == 1:
            assert message["replied_at"] is None


FICTIONAL = re.compile(
    r"\+44(7700900|1(13|14|15|16|17|18|21|31|41|51|61)4960|1914980|2079460)\d{3}|\+441632\d{6}"
    r"|\+1[2-9]\d{2}55501\d{2}|\+3532091\d{5}|\+61[2378]5550\d{4}|\+33(19900|26191|35301|46571|53649)\d{4}"
)


def test_texts_follow_calls_and_reach_nobody(run: Run, calls: dict[str, dict[str, Any]]) -> None:
    texts = run.distinct("text_message", "message_id")
    related = [text for text in texts if text["related_call_id"] is not None]
    assert 0.8 * len(texts) < len(related) < len(texts) > 1_000
    assert sum(text["related_call_id"] in calls for text in related) > 0.99 * len(related)
    for text in texts:
        number = text["to_or_from"]
        digits = f"+{number[2:]}" if number.startswith("00") else re.sub("^0", "+44", number)
        assert FICTIONAL.fullmatch(digits), number
        call = calls.get(text["related_call_id"])
        assert call is None or at(text["sent_at"]) > at(call["ended_at"])
        assert (text["template_code"] is None) == (text["direction"] == "inbound")
        assert text["delivered_at"] is None or at(text["sent_at"]) < at(text["delivered_at"])
    assert {text["status"] for text in texts} == {"delivered", "failed", "sent", "received"}


# Cases and applications


def test_complaints_and_payments_name_contacts_that_happened(
    run: Run, calls: dict[str, dict[str, Any]]
) -> None:
    contacts = {
        "voice": set(calls),
        "webchat": set(run.current("webchat_session", "chat_id")),
        "email": set(run.current("email_message", "message_id")),
    }
    complaints = run.records("complaint")
    assert {row["channel"] for row in complaints} >= {"voice", "email"}
    assert sum(row["contact_id"] in contacts[row["channel"]] for row in complaints) >= len(complaints) - 1
    for row in complaints:
        for field in ("escalated_to_csmt_at", "resolved_at"):
            assert row[field] is None or at(row["received_at"]) <= at(row[field])
        assert (row["resolved_at"] is None) == (row["outcome"] is None)
    payments = run.records("payment_confirmation")
    assert len(payments) > 350
    known = [row for row in payments if row["contact_id"] in calls]
    assert len(known) > 0.98 * len(payments)
    for row in known:
        call = calls[row["contact_id"]]
        assert at(call["received_at"]) < at(row["taken_at"]) < at(call["ended_at"])
        assert int(row["amount_pence"]) > 0
        assert row["currency"] == "GBP"


def test_extracts_are_whole_and_change_little(run: Run) -> None:
    extracts = [
        (file_stamp(path), {row["application_ref"]: row for row in rows}, len(rows))
        for path, rows in sorted(run.good["wip_extract"].items())
    ]
    stamps = [stamp for stamp, _, _ in extracts]
    last = END.astimezone(UTC).replace(hour=22)
    assert stamps == [last - timedelta(hours=2 * back) for back in reversed(range(12))]
    for stamp, rows, count in extracts:
        assert len(rows) == count
        assert 0.7 * 800 < count < 1.3 * 800
        for row in rows.values():
            assert at(row["received_at"]) <= at(row["stage_entered_at"]) <= stamp
            assert re.fullmatch(r"ZZ[\dA-Z ]+", row["postcode"])
            assert (row["region"] == "UK") == (row["country"] == "GB")
            assert date.fromisoformat(row["date_of_birth"]) < at(row["received_at"]).date()
    seen: set[str] = set()
    for (_, old, _), (stamp, new, _) in pairwise(extracts):
        seen |= set(old)
        assert sum(old.get(name) == row for name, row in new.items()) > 0.9 * len(new)
        for name in set(new) - seen:
            assert at(new[name]["received_at"]) > stamp - timedelta(hours=2)
    first, final = extracts[0][1], extracts[-1][1]
    assert len(set(final) - set(first)) > 20 < len(set(first) - set(final))
    assert any(first[name]["stage"] != final[name]["stage"] for name in set(first) & set(final))
    surnames = {row["surname"] for row in final.values()}
    assert any("'" in name for name in surnames)
    assert any("-" in name for name in surnames)
    assert any(not name.isascii() for name in surnames)


def test_payments_are_for_applications_in_the_extracts(run: Run) -> None:
    known = {row["application_ref"] for row in run.records("wip_extract")}
    today = [
        row
        for row in run.records("payment_confirmation")
        if at(row["taken_at"]).astimezone(LONDON).date() == LAST
    ]
    assert 0.8 < sum(row["application_ref"] in known for row in today) / len(today) < 0.99


def test_the_number_of_extracts_is_as_asked(tmp_path: Path) -> None:
    for extracts in (0, 3):
        folder = tmp_path / str(extracts)
        simulate(
            folder, days=1, calls_per_day=10, last_day=LAST, interfaces=["wip_extract"], wip_extracts=extracts
        )
        assert len(list(folder.glob("*.gz"))) == extracts


# What is said


def test_the_summary_names_every_interface(run: Run) -> None:
    text = run.summary.as_text()
    assert tuple(run.summary.interfaces) == EVERY_INTERFACE
    for name, counts in run.summary.interfaces.items():
        bad = sum(counts.bad_rows.values())
        assert f"  {name}: {counts.rows:,} rows in {counts.files:,} files (" in text
        assert f"of which {bad:,} bad" in text
    assert f"  chats: {run.summary.other_traffic['chats']:,}" in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"interfaces": ["fax"]},
        {"interfaces": []},
        {"wip_applications": -1},
        {"wip_extracts": -1},
        {"snapshot_seconds": 0},
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Simulate"):
        simulate(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()
