"""The simulator, judged by its files; the rules of the interface are written out by hand, from its description."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.simulator import SimulationSummary
from infra.simulator import simulate as simulate_interfaces
from infra.simulator.calls import Call
from infra.simulator.customers import Customers, spell
from infra.simulator.damage import BAD_ROW_KINDS
from infra.simulator.demand import Demand
from infra.simulator.files import Outbox
from infra.simulator.floor import RING_SECONDS, Floor
from infra.simulator.lines import LINES as LINES_OF_BUSINESS
from infra.simulator.lines import REASON_CODES, UNKNOWN_CODES
from infra.simulator.opening import HOUR, Calendar, instant
from infra.simulator.roster import Roster

LONDON = ZoneInfo("Europe/London")
LINES = {"+441632960001": "PAL", "+441632960002": "ABI", "+441632960003": "DSLR", "+441632960004": "PVS"}
QUEUES = {f"{line}_{level}" for line in LINES.values() for level in ("GENERAL", "2ND")} | {"CSMT"}
# From a Saturday to the Tuesday after Easter: with the night of the 29th and two bank holidays within.
FIRST, LAST = date(2026, 3, 28), date(2026, 4, 7)
GOOD_FRIDAY, EASTER_MONDAY = date(2026, 4, 3), date(2026, 4, 6)


def simulate(folder: Path, **arguments: Any) -> SimulationSummary:
    """Simulate calls alone; `test_simulator_channels` judges the other interfaces."""
    return simulate_interfaces(folder, interfaces=("telephony_call",), **arguments)


@dataclass
class Run:
    """One simulation, read back."""

    summary: SimulationSummary
    files: dict[Path, list[bytes]]
    good: list[tuple[Path, bytes, dict[str, Any]]]
    bad: list[bytes]

    def current(self) -> list[dict[str, Any]]:
        newest: dict[str, dict[str, Any]] = {}
        for _, _, record in self.good:
            known = newest.get(record["call_id"])
            if known is None or record["record_version"] > known["record_version"]:
                newest[record["call_id"]] = record
        assert newest
        return list(newest.values())


def read(summary: SimulationSummary) -> Run:
    files = {
        path: gzip.decompress(path.read_bytes()).splitlines() for path in sorted(summary.folder.glob("*.gz"))
    }
    run = Run(summary, files, [], [])
    for path, rows in files.items():
        for row in rows:
            if faults(row):
                run.bad.append(row)
            else:
                run.good.append((path, row, json.loads(row)))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("simulated")
    return read(simulate(folder, days=11, seed=7, calls_per_day=2_000, last_day=LAST, bad_row_share=0.01))


# The interface, by hand


def at(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def local_date(record: dict[str, Any]) -> date:
    return at(record["received_at"]).astimezone(LONDON).date()


def faults(row: bytes) -> list[str]:
    """Everything in a row that the interface forbids."""
    try:
        record = json.loads(row)
    except ValueError:
        return ["not JSON"]
    if not isinstance(record, dict):
        return ["not an object"]
    found: list[str] = []

    def check(holds: bool, what: str) -> bool:
        if not holds:
            found.append(what)
        return holds

    def stamp(fields: dict[str, Any], name: str, required: bool = False) -> datetime | None:
        value = fields.get(name)
        if value is None:
            check(not required, f"{name} missing")
            return None
        pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
        if not check(
            isinstance(value, str) and re.fullmatch(pattern, value) is not None, f"{name} no timestamp"
        ):
            return None
        try:
            moment = at(value)
        except ValueError:
            check(False, f"{name} impossible")
            return None
        check(
            datetime(1990, 1, 1, tzinfo=UTC) <= moment <= datetime(2026, 12, 31, tzinfo=UTC),
            f"{name} out of range",
        )
        return moment

    def one_of(fields: dict[str, Any], name: str, *values: str) -> None:
        check(fields.get(name) is None or fields[name] in values, f"{name} unknown")

    def amount(fields: dict[str, Any], name: str) -> None:
        value = fields.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        check(value is None or (is_number and math.isfinite(value) and value >= 0), f"{name} no amount")

    def texts(fields: dict[str, Any], name: str) -> None:
        value = fields.get(name, [])
        check(
            isinstance(value, list) and all(isinstance(item, str) for item in value),
            f"{name} no list of text",
        )

    call_id, version = record.get("call_id"), record.get("record_version")
    check(isinstance(call_id, str) and 1 <= len(call_id) <= 64, "call_id")
    check(type(version) is int and version >= 1, "record_version")
    check(isinstance(record.get("dialled_number"), str), "dialled_number")
    check(isinstance(record.get("caller_number"), str | None), "caller_number")
    check(isinstance(record.get("is_test", False), bool), "is_test")
    check("language" not in record or record["language"] in ("en", "cy"), "language")
    outcome = record.get("ivr_outcome")
    check(outcome in ("queued", "self_served", "abandoned", "forced_disconnect"), "ivr_outcome")
    texts(record, "ivr_path")
    stamp(record, "emitted_at", required=True)
    received, menu_ended = stamp(record, "received_at", required=True), stamp(record, "ivr_ended_at")
    stamp(record, "ended_at")
    if received and menu_ended:
        check(received <= menu_ended, "menu ended before the call")
    legs = record.get("legs")
    if not check(isinstance(legs, list) and all(isinstance(leg, dict) for leg in legs), "legs"):
        return found
    check(bool(legs) == (outcome == "queued"), "legs against outcome")
    for leg in legs:
        check(type(leg.get("leg_no")) is int and leg["leg_no"] >= 1, "leg_no")
        check(isinstance(leg.get("queue"), str), "queue")
        check(isinstance(leg.get("agent_id"), str | None), "agent_id")
        queued, answered, left = (
            stamp(leg, "queued_at", required=True),
            stamp(leg, "answered_at"),
            stamp(leg, "left_at"),
        )
        times = [moment for moment in (queued, answered, left) if moment]
        check(times == sorted(times), "leg out of order")
        amount(leg, "hold_seconds")
        amount(leg, "wrap_seconds")
        texts(leg, "reason_codes")
        reasons = (
            "completed",
            "abandoned",
            "transferred",
            "callback_requested",
            "flow_out",
            "forced_disconnect",
        )
        one_of(leg, "end_reason", *reasons)
        one_of(leg, "transfer_to", "2nd_line", "csmt", "other")
        one_of(leg, "transfer_mode", "warm", "cold")
        if leg is legs[0] and received and queued:
            check(received <= queued, "queued before the call")
    return found


# Files and rows


def test_the_same_arguments_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    arguments = {"days": 2, "seed": 3, "calls_per_day": 500, "last_day": LAST}
    simulate(tmp_path / "here", **arguments)
    there = (
        "import datetime, pathlib, sys; from infra.simulator import simulate; "
        "simulate(pathlib.Path(sys.argv[1]), "
        "days=2, seed=3, calls_per_day=500, last_day=datetime.date(2026, 4, 7), interfaces=['telephony_call'])"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONHASHSEED": "11", "TZ": "Asia/Tokyo", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", there, str(tmp_path / "there")], check=True, env=environment)
    simulate(tmp_path / "other", **(arguments | {"seed": 4}))

    here = digests(tmp_path / "here")
    assert len(here) > 20
    assert here == digests(tmp_path / "there")
    assert here != digests(tmp_path / "other")


def test_no_other_module_of_the_product_is_loaded() -> None:
    listing = "import infra.simulator, sys; print(*sorted(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", listing],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    ours = {"contactbi", "dashboards", "delivery", "expectations", "infra", "ingestion", "transformation"}
    loaded = {name for name in done.stdout.split() if name.split(".")[0] in ours}
    assert "infra.simulator.floor" in loaded
    assert {name for name in loaded if name != "infra" and not name.startswith("infra.simulator")} == set()


def test_files_are_named_in_sequence_and_digests_are_right(run: Run) -> None:
    names = [path.name for path in run.files]
    matches = [re.fullmatch(r"telephony_call_sim_(\d{8}T\d{6}Z)_(\d{6})\.jsonl\.gz", name) for name in names]
    assert all(matches)
    assert [int(match[2]) for match in matches if match] == list(range(1, run.summary.files + 1))
    stamps = [at(match[1]) for match in matches if match]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == datetime.combine(LAST + timedelta(days=1), time(0), LONDON)
    assert all(stamp.hour % 2 == 0 and (stamp.minute, stamp.second) == (0, 0) for stamp in stamps[:-1])

    digests = list(run.summary.folder.glob("*.sha256"))
    assert 0.8 * len(names) < len(digests) == run.summary.digests < len(names)
    for digest in digests:
        value, name = digest.read_text().split()
        assert digest.name == f"{name}.sha256"
        assert hashlib.sha256((run.summary.folder / name).read_bytes()).hexdigest() == value
    assert {path.suffix for path in run.summary.folder.iterdir()} == {".gz", ".sha256"}
    # Bytes 4 to 7 of a gzip file are a time, which would differ from run to run.
    assert {path.read_bytes()[4:8] for path in run.files} == {bytes(4)}
    assert run.summary.bytes == sum(path.stat().st_size for path in run.files)


def test_good_and_bad_rows_are_as_many_as_the_summary_says(run: Run) -> None:
    assert run.summary.rows == sum(len(rows) for rows in run.files.values())
    assert run.summary.records == len(run.good)
    assert sum(run.summary.bad_rows.values()) == len(run.bad) > len(BAD_ROW_KINDS)
    assert set(run.summary.bad_rows) == set(BAD_ROW_KINDS)


def test_no_file_has_more_than_one_bad_row_in_twenty(run: Run) -> None:
    bad = set(run.bad)
    shares = [sum(row in bad for row in rows) / len(rows) for rows in run.files.values()]
    assert 0 < max(shares) <= 0.05


def test_bad_rows_come_beside_the_good_ones_and_change_nothing_else(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"days": 1, "seed": 5, "calls_per_day": 2_000, "last_day": date(2026, 3, 25)}
    clean = read(simulate(tmp_path / "clean", bad_row_share=0, **arguments))
    soiled = read(simulate(tmp_path / "soiled", bad_row_share=0.03, **arguments))
    assert clean.bad == []
    assert clean.summary.bad_rows == {}
    assert len(soiled.bad) > 40
    assert [path.name for path in clean.files] == [path.name for path in soiled.files]
    assert [row for _, row, _ in clean.good] == [row for _, row, _ in soiled.good]


def test_all_rows_can_be_bad_when_asked(tmp_path: Path) -> None:
    run = read(simulate(tmp_path, days=1, calls_per_day=100, last_day=date(2026, 3, 25), bad_row_share=1))
    assert len(run.bad) > 0.9 * len(run.good) > 0


def test_no_record_knows_the_future(run: Run) -> None:
    def stamps(value: object) -> list[str]:
        if isinstance(value, dict):
            return [stamp for item in value.values() for stamp in stamps(item)]
        if isinstance(value, list):
            return [stamp for item in value for stamp in stamps(item)]
        return [value] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else []

    for path, _, record in run.good:
        emitted, cut_off = at(record["emitted_at"]), at(path.name.split("_")[3])
        assert emitted < cut_off
        assert max(map(at, stamps(record))) == emitted


def test_late_rows_duplicates_and_versions_are_as_counted(run: Run) -> None:
    seen: dict[bytes, datetime] = {}
    late = duplicates = with_unknown_field = 0
    versions: Counter[int] = Counter()
    arrivals: defaultdict[str, list[int]] = defaultdict(list)
    known = {
        "call_id", "record_version", "emitted_at", "is_test", "dialled_number", "caller_number", "language",
        "received_at", "ivr_ended_at", "ivr_outcome", "ivr_path", "legs", "ended_at",
    }  # fmt: skip
    for path, row, record in run.good:
        cut_off = at(path.name.split("_")[3])
        if row in seen:
            duplicates += 1
            assert cut_off >= seen[row]
            continue
        seen[row] = cut_off
        opened = cut_off.replace(minute=0, second=0)
        opened -= timedelta(hours=2 if opened == cut_off and opened.hour % 2 == 0 else opened.hour % 2)
        late += at(record["emitted_at"]) < opened
        with_unknown_field += not record.keys() <= known
        versions[record["record_version"]] += 1
        arrivals[record["call_id"]].append(record["record_version"])
    assert duplicates == run.summary.duplicates > 50
    assert late == run.summary.late > 30
    assert with_unknown_field == run.summary.with_unknown_field > 0
    assert versions == run.summary.versions
    assert versions[1] > versions[2] > versions[3] > 0
    assert any(order != sorted(order) for order in arrivals.values()), (
        "an older version arrives after a newer one"
    )


def test_versions_of_a_call_agree_on_what_has_happened(run: Run) -> None:
    by_call: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for _, _, record in run.good:
        by_call[record["call_id"]][record["record_version"]] = record
    opened = corrected = 0
    for versions in by_call.values():
        ordered = [versions[number] for number in sorted(versions)]
        for old, new in pairwise(ordered):
            assert at(old["emitted_at"]) < at(new["emitted_at"])
            same = ("dialled_number", "caller_number", "ivr_outcome", "ivr_path")
            assert [old.get(name) for name in same] == [new.get(name) for name in same]
            assert at(old["received_at"]) == at(new["received_at"])
            assert len(old["legs"]) <= len(new["legs"])
            opened += old.get("ended_at") is None and new.get("ended_at") is not None
            corrected += (
                at(new["emitted_at"]) - at(new["ended_at"]) > timedelta(hours=2) if new.get("ended_at") else 0
            )
            for before, after in zip(old["legs"], new["legs"], strict=False):
                assert at(before["queued_at"]) == at(after["queued_at"])
                if before.get("wrap_seconds") is not None:
                    assert before["wrap_seconds"] == after["wrap_seconds"]
                if before.get("left_at"):
                    assert at(before["left_at"]) == at(after["left_at"])
    assert opened > 50
    assert corrected > 50


def test_timestamps_are_written_in_every_permitted_way(run: Run) -> None:
    shapes = Counter(
        re.sub(r"\d", "9", record["received_at"][19:].replace("+01", "+B")) for _, _, record in run.good
    )
    assert set(shapes) == {".999999Z", ".999Z", ".999999+B:99", ".999+B:99", ".999999+99:99", ".999+99:99"}


# Traffic


def test_every_call_is_sent_or_known_to_be_on_its_way(run: Run) -> None:
    summary = run.summary
    assert len({record["call_id"] for _, _, record in run.good}) == summary.calls_sent
    demand, days = Demand(2_000, 7, Calendar()), (FIRST + timedelta(days=number) for number in range(11))
    assert summary.calls == sum(len(demand.arrivals(day)) for day in days) + summary.traffic["redials"]
    assert summary.calls_not_sent == summary.calls - summary.calls_sent
    assert 0 <= summary.calls_not_sent < 0.005 * summary.calls


def test_every_call_ends_once_the_floor_has_emptied() -> None:
    sent: dict[str, Call] = {}
    calendar, day = Calendar(), date(2026, 3, 25)
    demand = Demand(1_500, 2, calendar)
    customers = Customers(Random(2), 1_500)
    floor = Floor(2, calendar, customers, lambda call, now: sent.update({call.call_id: call}))
    floor.open_day(day, Roster(demand, calendar, 2).shifts(day))
    for when, line in demand.arrivals(day):
        floor.arrive(when, line)
    floor.run_until(instant(day + timedelta(days=2)))
    assert floor.in_progress == 0
    assert len(sent) == floor.counts["calls"] > 1_000
    assert all(call.ended_at is not None for call in sent.values())
    legs = [leg for call in sent.values() for leg in call.legs]
    assert len(legs) > 800
    assert all(leg.left_at is not None and leg.end_reason is not None for leg in legs)
    answered = sum(any(leg.answered_at is not None for leg in call.legs) for call in sent.values())
    assert answered == floor.counts["calls answered"]


def test_whoever_still_waits_ten_minutes_after_closing_is_disconnected() -> None:
    sent: list[Call] = []
    calendar, day = Calendar(), date(2026, 3, 25)
    floor = Floor(4, calendar, Customers(Random(4), 20_000), lambda call, now: sent.append(call))
    floor.open_day(day, agents=[])
    for when, line in Demand(20_000, 4, calendar).arrivals(day):
        floor.arrive(when, line)
    floor.run_until(instant(day + timedelta(days=1)))
    assert floor.in_progress == 0
    assert floor.counts["calls answered"] == 0
    last: defaultdict[str, int] = defaultdict(int)
    for call in sent:
        if call.ended_at is not None and call.legs and call.legs[-1].end_reason == "forced_disconnect":
            last[call.legs[-1].queue] = max(last[call.legs[-1].queue], call.ended_at)
    closing = {"PAL": time(20, 10), "ABI": time(20, 10), "DSLR": time(20, 10), "PVS": time(17, 10)}
    assert last == {f"{line}_GENERAL": instant(day, closes) for line, closes in closing.items()}


def test_nothing_is_sent_that_is_emitted_after_the_end(tmp_path: Path) -> None:
    # In summer the last file closes in the middle of its two hours, at 23:00 UTC.
    end = instant(LAST + timedelta(days=1))
    outbox = Outbox(tmp_path, 1, end - HOUR, end, 0)
    customers, line = Customers(Random(1), 100), LINES_OF_BUSINESS[0]
    for number in range(200):
        call = Call(
            call_id=f"call-{number}",
            line=line,
            customer=customers.next_caller(line)[0],
            dialled_number=line.dialled_number,
            caller_number=None,
            language="en",
            received_at=end - HOUR,
            is_test=False,
            is_precise=True,
            is_sparse=False,
            ivr_path=[],
            ivr_outcome="self_served",
            ended_at=end - 1_000_000,
        )
        outbox.send(call, end - 1_000_000)
    assert outbox.close_file() is False
    outbox.finish()
    [path] = tmp_path.glob("*.gz")
    emitted = [at(json.loads(row)["emitted_at"]) for row in gzip.decompress(path.read_bytes()).splitlines()]
    assert 0 < len(outbox.sent) < 150
    assert max(emitted) < datetime.combine(LAST + timedelta(days=1), time(0), LONDON)


def test_no_agent_is_in_two_calls_at_once(run: Run) -> None:
    work: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for record in run.current():
        for leg in record["legs"]:
            if leg.get("answered_at") and leg.get("left_at"):
                end = at(leg["left_at"]) + timedelta(seconds=leg.get("wrap_seconds") or 0)
                work[leg["agent_id"]].append((at(leg["answered_at"]), end))
    assert len(work) > 40
    for spans in work.values():
        spans.sort()
        for (_, end), (start, _) in pairwise(spans):
            # Some nodes cut timestamps to milliseconds.
            assert start >= end - timedelta(milliseconds=1)


def test_queues_serve_whoever_came_first(run: Run) -> None:
    queues: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for record in run.current():
        for leg in record["legs"]:
            if leg.get("answered_at"):
                queues[leg["queue"]].append((at(leg["queued_at"]), at(leg["answered_at"])))
    assert set(queues) == QUEUES
    waited = 0
    for legs in queues.values():
        legs.sort()
        latest = legs[0][1]
        for queued, answered in legs:
            assert answered >= latest - timedelta(seconds=RING_SECONDS, milliseconds=1)
            latest = max(latest, answered)
            waited += answered - queued > timedelta(seconds=30)
    assert waited > 500


def test_nobody_queues_outside_opening_hours_or_is_left_in_the_queue(run: Run) -> None:
    def opening(name: str, day: date) -> tuple[time, time] | None:
        quiet = day.weekday() >= 5 or day in (GOOD_FRIDAY, EASTER_MONDAY)
        if name == "PVS":
            if day in (GOOD_FRIDAY, EASTER_MONDAY) or day.weekday() == 6:
                return None
            return time(9), time(13 if day.weekday() == 5 else 17)
        return (time(9), time(17, 30)) if quiet else (time(8), time(20))

    legs = Counter[str]()
    for record in run.current():
        for leg in record["legs"]:
            name = leg["queue"].split("_")[0]
            queued = at(leg["queued_at"]).astimezone(LONDON)
            hours = opening(name, queued.date())
            assert hours is not None, (name, queued)
            assert hours[0] <= queued.time() < hours[1], (name, queued)
            legs[name] += 1
            if leg.get("answered_at") is None and leg.get("left_at"):
                closes = datetime.combine(queued.date(), hours[1], LONDON)
                assert at(leg["left_at"]) <= closes + timedelta(minutes=10)
    assert set(legs) == {"PAL", "ABI", "DSLR", "PVS", "CSMT"}
    closed = [record for record in run.current() if "closed" in record.get("ivr_path", [])]
    assert len(closed) > 100
    assert {record["ivr_outcome"] for record in closed} == {"forced_disconnect", "abandoned", "self_served"}


def test_days_have_the_shape_of_a_week(run: Run) -> None:
    days: Counter[date] = Counter(map(local_date, run.current()))
    monday, weekdays = date(2026, 3, 30), [date(2026, 3, 31) + timedelta(days=number) for number in range(3)]
    assert days[monday] > max(days[day] for day in weekdays)
    for quiet in (FIRST, date(2026, 3, 29), GOOD_FRIDAY, EASTER_MONDAY):
        assert 0 < days[quiet] < 0.75 * min(days[day] for day in weekdays)
    hours = Counter(
        at(record["received_at"]).astimezone(LONDON).hour
        for record in run.current()
        if local_date(record) == monday
    )
    assert hours[10] > hours[12] > hours[18] > 20 > hours[3]


def test_an_average_week_has_the_calls_asked_for() -> None:
    demand, days = (
        Demand(20_000, 1, Calendar()),
        [date(2026, 3, 9) + timedelta(days=number) for number in range(7)],
    )
    total = sum(demand.expected(line, day).sum() for line in LINES_OF_BUSINESS for day in days)
    assert total == pytest.approx(7 * 20_000 * 0.96)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2025, 10, 26), 25), (date(2026, 3, 22), 24)]
)
def test_the_nights_on_which_the_clock_changes_are_as_long_as_they_are(
    tmp_path: Path, day: date, hours: int
) -> None:
    assert instant(day + timedelta(days=1)) - instant(day) == hours * HOUR
    run = read(simulate(tmp_path, days=1, calls_per_day=40_000, last_day=day, bad_row_share=0))
    records = run.current()
    periods = Counter(
        at(record["received_at"]).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for record in records
    )
    midnight = datetime.combine(day, time(0), LONDON).astimezone(UTC)
    assert set(periods) <= {midnight + timedelta(hours=number) for number in range(hours)}
    assert len(periods) >= hours - 2
    night = [count for hour, count in periods.items() if hour.astimezone(LONDON).hour < 4]
    assert len(night) >= hours - 22
    assert max(night) < 40
    queued = [at(leg["queued_at"]).astimezone(LONDON).time() for record in records for leg in record["legs"]]
    assert len(queued) > 3_000
    assert time(9) <= min(queued) < time(9, 5)
    assert time(17, 20) < max(queued) < time(17, 30)


def test_callers_behave_within_the_shares_assumed(run: Run) -> None:
    records = run.current()
    total = len(records)
    by_line = Counter(LINES.get(record["dialled_number"], "UNMAPPED") for record in records)
    assert by_line["PAL"] > by_line["ABI"] > by_line["DSLR"] > by_line["PVS"] > 0
    assert by_line["PAL"] / total == pytest.approx(0.66, abs=0.03)
    assert 0 < by_line["UNMAPPED"] < 0.001 * total
    outcomes = Counter(record["ivr_outcome"] for record in records)
    assert outcomes["queued"] / total == pytest.approx(0.76, abs=0.03)
    assert outcomes["self_served"] / total == pytest.approx(0.17, abs=0.02)
    tests = [record for record in records if record.get("is_test")]
    assert len(tests) / total == pytest.approx(0.004, abs=0.002)
    assert sum(
        record.get("caller_number") in (None, "anonymous") for record in records
    ) / total == pytest.approx(0.05, abs=0.01)
    assert {record.get("caller_number") for record in records} > {None, "anonymous"}
    welsh = [record for record in records if record.get("language") == "cy"]
    assert 0.008 < len(welsh) / total < 0.025
    assert all(record["dialled_number"] != "+441632960004" for record in welsh)

    queued = [record for record in records if record["legs"]]
    answered = [record for record in queued if _is_answered(record)]
    waits = [
        (at(_first_answer(record)) - at(record["legs"][0]["queued_at"])).total_seconds()
        for record in answered
    ]
    assert min(waits) == 0
    assert 0.85 < len(answered) / len(queued) < 0.99
    assert 0.5 < sum(wait <= 30 for wait in waits) / len(waits) < 0.95
    last_reasons = Counter(
        record["legs"][-1].get("end_reason") for record in queued if not _is_answered(record)
    )
    assert {"abandoned", "callback_requested", "forced_disconnect"} <= set(last_reasons)
    assert last_reasons["abandoned"] == max(last_reasons.values())
    hung_up = sum(
        leg.get("end_reason") == "abandoned"
        for record in answered
        for leg in record["legs"]
        if leg.get("answered_at")
    )
    assert hung_up / len(answered) == pytest.approx(0.017, abs=0.006)


def _is_answered(record: dict[str, Any]) -> bool:
    return any(leg.get("answered_at") for leg in record["legs"])


def _first_answer(record: dict[str, Any]) -> str:
    return next(leg["answered_at"] for leg in record["legs"] if leg.get("answered_at"))


def test_transfers_lead_where_they_say(run: Run) -> None:
    hops: Counter[tuple[str, str]] = Counter()
    for record in run.current():
        legs = record["legs"]
        assert [leg["leg_no"] for leg in legs] == list(range(1, len(legs) + 1))
        for position, leg in enumerate(legs):
            assert (leg.get("transfer_to") is None) == (leg.get("end_reason") != "transferred")
            assert (leg.get("transfer_mode") is None) == (leg.get("transfer_to") is None)
            if leg.get("transfer_to"):
                following = legs[position + 1]["queue"] if position + 1 < len(legs) else None
                hops[leg["transfer_to"], leg["transfer_mode"]] += 1
                expected = {"2nd_line": following and following.endswith("_2ND"), "csmt": following == "CSMT"}
                assert expected.get(leg["transfer_to"], True)
            if position:
                assert legs[position - 1]["end_reason"] in ("transferred", "flow_out")
                assert at(leg["queued_at"]) == at(legs[position - 1]["left_at"])
    assert {(target, mode) for target in ("2nd_line", "csmt", "other") for mode in ("warm", "cold")} == set(
        hops
    )


def test_holds_lie_within_the_talk_and_wrap_up_comes_later(run: Run) -> None:
    legs = [
        leg
        for record in run.current()
        for leg in record["legs"]
        if leg.get("answered_at") and leg.get("left_at")
    ]
    held = [leg for leg in legs if leg.get("hold_seconds")]
    assert len(held) > 500
    for leg in held:
        assert leg["hold_seconds"] <= (at(leg["left_at"]) - at(leg["answered_at"])).total_seconds()
    first = [
        record
        for _, _, record in run.good
        if record["record_version"] == 1 and record.get("ended_at") and record["legs"]
    ]
    pending = sum(
        leg.get("wrap_seconds") is None
        for record in first
        for leg in record["legs"]
        if leg.get("answered_at")
    )
    assert 0.5 < pending / len(first) < 0.8
    assert 0 < sum(leg.get("wrap_seconds") is None for leg in legs) < 0.02 * len(legs)


def test_reason_codes_are_agreed_but_for_a_few(run: Run) -> None:
    legs = [leg for record in run.current() for leg in record["legs"] if leg.get("wrap_seconds") is not None]
    codes = Counter(code for leg in legs for code in leg.get("reason_codes", []))
    assert set(codes) >= set(REASON_CODES)
    strange = set(codes) - set(REASON_CODES)
    assert set() < strange <= set(UNKNOWN_CODES)
    assert sum(codes[code] for code in strange) < 0.01 * codes.total()
    assert 0.01 < sum(not leg.get("reason_codes") for leg in legs) / len(legs) < 0.05
    assert any(len(leg.get("reason_codes", [])) == 2 for leg in legs)


def test_people_come_back_and_ring_again(run: Run) -> None:
    numbers: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in run.current():
        if record.get("caller_number") not in (None, "anonymous") and not record.get("is_test"):
            numbers[_e164(record["caller_number"])].append(record)
    calls = [len(records) for records in numbers.values()]
    assert 0.2 < sum(count for count in calls if count > 1) / sum(calls) < 0.7
    assert run.summary.traffic["redials"] > 50
    assert any(len({record["caller_number"] for record in records}) > 1 for records in numbers.values()), (
        "two spellings"
    )


def _e164(shown: str) -> str:
    digits = re.sub(r"[^\d+]", "", shown)
    if digits.startswith("00"):
        return "+" + digits[2:]
    return "+44" + digits[1:] if digits.startswith("0") else digits


FICTIONAL = re.compile(
    r"\+44(7700900|1(13|14|15|16|17|18|21|31|41|51|61)4960|1914980|2079460)\d{3}"
    r"|\+441632\d{6}"  # belongs to no place
    r"|\+1[2-9]\d{2}55501\d{2}"
    r"|\+3532091\d{5}"
    r"|\+61[2378]5550\d{4}"
    r"|\+33(19900|26191|35301|46571|53649)\d{4}"
)


def test_no_number_can_reach_anybody(run: Run) -> None:
    shown = {record.get("caller_number") for _, _, record in run.good} - {None, "anonymous"}
    assert len(shown) > 5_000
    assert [number for number in shown if not FICTIONAL.fullmatch(_e164(number))] == []
    assert any(number.startswith("+1") for number in shown)
    assert any(number.startswith("tel:+44-") for number in shown)
    assert any(re.fullmatch(r"0\d{4} \d{6}", number) for number in shown)
    assert {record["dialled_number"] for _, _, record in run.good} > set(LINES)


@pytest.mark.parametrize("chance", [0.0, 0.75, 0.85, 0.92, 0.99])
@pytest.mark.parametrize("number", ["+447700900123", "+33199001234", "+12025550123"])
def test_every_spelling_is_the_same_number(number: str, chance: float) -> None:
    assert _e164(spell(number, chance)) == number


def test_the_summary_reads_as_plain_english(run: Run) -> None:
    text = run.summary.as_text()
    assert f"Rows: {run.summary.rows:,} = {run.summary.records:,} good + {len(run.bad):,} bad" in text
    for kind, count in run.summary.bad_rows.items():
        assert f"  {kind}: {count:,}" in text
    assert f"  test calls: {run.summary.traffic['test calls']:,}" in text


def test_the_default_ends_yesterday(tmp_path: Path) -> None:
    summary = simulate(tmp_path, days=1, calls_per_day=50)
    today = datetime.now(LONDON).date()
    assert today - summary.last_day <= timedelta(days=2)
    assert summary.last_day < today
    assert summary.first_day == summary.last_day


@pytest.mark.parametrize(
    "wrong", [{"days": 0}, {"calls_per_day": 0}, {"bad_row_share": 1.5}, {"bad_row_share": -0.1}]
)
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1 day"):
        simulate(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()
