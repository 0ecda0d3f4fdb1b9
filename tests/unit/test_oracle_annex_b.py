"""The oracle's figures, against values worked out by hand, published, or known of the real calls."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.annex_b import GRAINS_OF, KEY_OF, LINES, AnnexB, measures, service_levels
from tests.oracle.calls import Call, call_of, caller_of
from tests.oracle.compare import assert_equal_rows, same
from tests.oracle.histories import HOURS, NIGHTS, File, deliveries
from tests.oracle.periods import GRAINS, next_start, period_start, periods
from tests.oracle.records import FileName, FileRead, Leg, Record, read_folder
from tests.oracle.reference import MAPPED_LINES, Dated, Reference

SHARED = Path(__file__).resolve().parents[3] / "shared"
TEN = datetime(2025, 1, 15, 10, tzinfo=UTC)
AS_OF = TEN + timedelta(hours=2)
SINCE = date(1990, 1, 1)
REFERENCE = Reference(
    [Dated(f"+44163296000{number}", line, SINCE, None) for number, line in enumerate(MAPPED_LINES, start=1)]
    + [Dated("+441632960999", "PVS", date(2024, 1, 1), date(2024, 12, 31))],
    [Dated("A", "A", SINCE, None), Dated("OLD", "OLD", SINCE, date(2025, 1, 15))],
)


def at(seconds: float) -> datetime:
    return TEN + timedelta(seconds=seconds)


def a_leg(leg_no: int, queued: float, answered: float | None, left: float | None, **changes: Any) -> Leg:
    told = {
        "wrap_seconds": None,
        "end_reason": None,
        "transfer_to": None,
        "transfer_mode": None,
        "reason_codes": (),
    }
    return Leg(
        leg_no=leg_no,
        queue="Q",
        queued_at=at(queued),
        answered_at=None if answered is None else at(answered),
        left_at=None if left is None else at(left),
        **{**told, **changes},
    )


def a_record(*legs: Leg, **changes: Any) -> Record:
    told: dict[str, Any] = {
        "call_id": "C",
        "record_version": 1,
        "emitted_at": TEN,
        "is_test": False,
        "dialled_number": "+441632960001",
        "caller_number": "+447700900123",
        "received_at": TEN,
        "ivr_outcome": "queued",
        "ended_at": None,
        "file": FileName("f", "p", TEN, 1),
        "line": 1,
    }
    return Record(legs=legs, **{**told, **changes})


def facts(*legs: Leg, as_of: datetime = AS_OF, **changes: Any) -> Call:
    return call_of(a_record(*legs, **changes), REFERENCE, as_of)


def test_the_wait_runs_from_the_first_queue_to_the_first_answer() -> None:
    call = facts(
        a_leg(1, 10, None, 20, end_reason="flow_out"), a_leg(2, 20, 40.000001, 60, wrap_seconds=Fraction(5))
    )
    assert (call.outcome, call.wait) == ("answered", 30_000_001)
    assert measures([call])["answered_within_30s"] == 0
    assert call.handle == (24_999_999,)


@pytest.mark.parametrize(
    ("column", "wait", "counted"),
    [
        ("answered_within_30s", 30, 1),
        ("answered_within_30s", 30.000001, 0),
        ("answered_within_70s", 70, 1),
        ("answered_within_70s", 70.000001, 0),
        ("abandoned_in_queue_short", 5, 1),
        ("abandoned_in_queue_short", 5.000001, 0),
        ("abandoned_within_30s", 30, 1),
        ("abandoned_within_30s", 30.000001, 0),
    ],
)
def test_thresholds_are_met_at_the_threshold_and_not_a_microsecond_later(
    column: str, wait: float, counted: int
) -> None:
    if column.startswith("answered"):
        call = facts(a_leg(1, 0, wait, None))
    else:
        call = facts(a_leg(1, 0, None, wait, end_reason="abandoned"))
    assert measures([call])[column] == counted


@pytest.mark.parametrize(
    ("leg", "ended", "outcome", "wait"),
    [
        (a_leg(1, 0, None, 9, end_reason="abandoned"), None, "abandoned", 9),
        (a_leg(1, 0, None, None, end_reason="abandoned"), 8, "abandoned", 8),
        (a_leg(1, 0, None, None, end_reason="abandoned"), None, "abandoned", None),
        (a_leg(1, 0, None, None, end_reason="abandoned"), 7201, "open", None),
        (a_leg(1, 0, None, 7200, end_reason="abandoned"), 7200, "abandoned", 7200),
        (a_leg(1, 0, None, 7201, end_reason="abandoned"), 7201, "open", None),
        (a_leg(1, 0, None, 9, end_reason="forced_disconnect"), 9, "forced_disconnect", None),
        (a_leg(1, 0, None, 9, end_reason="callback_requested"), 9, "flow_out", None),
        (a_leg(1, 0, None, 9), 9, "flow_out", None),
        (a_leg(1, 0, None, 9), None, "open", None),
        (a_leg(1, 0, 7201, 7300, end_reason="completed"), 7300, "open", None),
    ],
)
def test_an_offered_call_that_nobody_answered_has_the_outcome_of_its_last_leg(
    leg: Leg, ended: float | None, outcome: str, wait: int | None
) -> None:
    call = facts(leg, ended_at=None if ended is None else at(ended))
    assert call.outcome == outcome
    assert call.wait == (None if wait is None else wait * 1_000_000)


def test_the_number_of_a_leg_says_which_is_last_not_its_place() -> None:
    call = facts(a_leg(2, 9, None, 20, end_reason="abandoned"), a_leg(1, 0, None, 9, end_reason="flow_out"))
    assert (call.outcome, call.wait) == ("abandoned", 20_000_000)


def test_abandoning_an_agent_and_abandoning_a_later_queue_are_two_things() -> None:
    first = a_leg(1, 0, 10, 20, end_reason="transferred", transfer_to="2nd_line", transfer_mode="warm")
    later = facts(first, a_leg(2, 20, None, 50, end_reason="abandoned"))
    skill = facts(a_leg(1, 0, 10, 20, end_reason="abandoned"))
    earlier = facts(a_leg(1, 0, None, 5, end_reason="abandoned"), a_leg(2, 5, 10, 20))
    assert (later.abandoned_at_skill, later.abandoned_awaiting_transfer) == (False, True)
    assert (skill.abandoned_at_skill, skill.abandoned_awaiting_transfer) == (True, False)
    assert (earlier.abandoned_at_skill, earlier.abandoned_awaiting_transfer) == (False, False)
    row = measures([later, skill, earlier])
    assert (row["abandoned_in_queue"], row["skill_abandon_rate"]) == (0, Fraction(1, 3))


def test_every_hop_is_one_transfer() -> None:
    hop = {"end_reason": "transferred", "transfer_to": "csmt"}
    row = measures(
        [
            facts(
                a_leg(1, 0, 1, 2, **{**hop, "transfer_to": "2nd_line"}, transfer_mode="warm"),
                a_leg(2, 2, 3, 4, **hop, transfer_mode="cold"),
                a_leg(3, 4, None, 5, **hop),
                a_leg(4, 5, 6, 7201, **hop, transfer_mode="cold"),
                a_leg(5, 6, 7, 8, **{**hop, "transfer_to": "other"}),
            )
        ]
    )
    assert [row[f"transfers_to_{to}"] for to in ("2nd_line", "2nd_line_warm", "2nd_line_cold")] == [1, 1, 0]
    assert [row[f"transfers_to_{to}"] for to in ("csmt", "csmt_warm", "csmt_cold")] == [2, 0, 1]


def test_a_leg_that_is_not_complete_is_left_out_of_both_sides_of_the_handle_time() -> None:
    done = a_leg(1, 0, 10, 20, wrap_seconds=Fraction(5, 2))
    row = measures([facts(done), facts(done, a_leg(2, 20, 30, 40)), facts(done, a_leg(2, 20, None, 40))])
    assert (row["handle_seconds"], row["handled_legs"], row["legs_wrap_pending"]) == (Fraction(75, 2), 3, 1)
    assert (row["handled_calls"], row["aht_seconds"], row["aht_leg_seconds"]) == (
        2,
        Fraction(25, 2),
        Fraction(25, 2),
    )


def test_test_calls_are_counted_beside_the_figures_and_in_none() -> None:
    leg = a_leg(1, 0, 10, 20, wrap_seconds=Fraction(1), reason_codes=("A",))
    row = measures([facts(leg, is_test=True, caller_number=None)])
    assert {column: value for column, value in row.items() if value} == {"excluded_test_calls": 1}


def test_ratios_over_nothing_are_null_and_counts_are_zero() -> None:
    row = measures([])
    nulls = {column for column, value in row.items() if value is None}
    assert nulls == {
        *(f"{kind}_abandon_rate" for kind in ("ivr", "queue", "skill")),
        *(f"wait_{of}_seconds{over}" for of in ("min", "max", "avg") for over in ("", "_abandoned", "_all")),
        "gos_30",
        "gos_70",
        "aht_seconds",
        "aht_leg_seconds",
    }


def test_lines_and_codes_count_as_they_stood_on_the_local_date() -> None:
    leg = a_leg(1, 0, 1, 2, reason_codes=("OLD", "A"))
    assert facts(leg, dialled_number="+441632960999").line == "UNMAPPED"
    assert REFERENCE.line("+441632960999", date(2024, 12, 30)) == "PVS"
    assert not REFERENCE.is_agreed("OLD", date(2025, 1, 15))
    assert REFERENCE.is_agreed("OLD", date(2025, 1, 14))


def test_call_types_follow_the_last_leg_that_an_agent_left() -> None:
    calls = [
        a_record(
            a_leg(1, 0, 1, 2, reason_codes=("A", "B")),
            a_leg(2, 2, 3, None, reason_codes=("OLD",)),
            call_id="1",
        ),
        a_record(a_leg(1, 0, 1, 2, reason_codes=("A",)), a_leg(2, 2, 3, 4), call_id="2"),
        a_record(a_leg(1, 0, None, 2, reason_codes=("A",)), call_id="3"),
    ]
    rows = [
        (row["reason_code"], row["is_agreed"], row["calls_primary"], row["calls_any"])
        for row in annex_b_of(calls).annex_b_call_types("day")
        if row["line"] == "ALL"
    ]
    assert rows == [("A", True, 1, 2), ("B", False, 0, 1), ("OLD", False, 0, 1), ("UNCODED", False, 1, 1)]


def test_times_to_abandon_fall_in_left_closed_buckets() -> None:
    waits = [0, 4.999999, 5, 3599.999999, 3600, 7000]
    calls = [
        a_record(a_leg(1, 0, None, wait, end_reason="abandoned"), call_id=str(number))
        for number, wait in enumerate(waits)
    ]
    rows = {
        row["bucket_label"]: row["abandoned_calls"]
        for row in annex_b_of(calls).annex_b_time_to_abandon("month")
        if row["line"] == "PAL"
    }
    assert len(rows) == 17
    assert {label: count for label, count in rows.items() if count} == {
        "0 to 5": 2,
        "5 to 10": 1,
        "1800 to 3600": 1,
        "3600 or more": 2,
    }


def test_the_published_service_levels_come_out() -> None:
    """The worked example of ICMI: answered 1000, abandoned 60, within the threshold 860 and 20, short 10."""
    measured = {
        "calls_answered": 1000,
        "abandoned_in_queue": 60,
        "answered_within_20s": 860,
        "abandoned_within_20s": 20,
        "abandoned_in_queue_short": 10,
    }
    levels = {
        name: round(100 * over / under, 1) for name, (over, under) in service_levels(measured, 20).items()
    }
    assert levels == {"F1": 83.0, "F2": 86.0, "F3": 81.1, "F4": 82.7, "F5": 82.1}


@pytest.mark.parametrize(
    ("text", "caller"),
    [
        ("07700 900123", "+447700900123"),
        ("tel:+44-7700-900123", "+447700900123"),
        ("0044 7700 900123", "+447700900123"),
        (None, None),
        ("", None),
        ("anonymous", None),
        ("12", None),
    ],
)
def test_a_caller_is_a_possible_number_however_it_is_written(text: str | None, caller: str | None) -> None:
    assert caller_of(text) == caller


def answered_call(call_id: str, received: float, ended: float | None, **changes: Any) -> Record:
    leg = a_leg(1, received, received + 1, ended)
    return a_record(
        leg,
        call_id=call_id,
        received_at=at(received),
        ended_at=None if ended is None else at(ended),
        **changes,
    )


DAY = 86_400


@pytest.mark.parametrize(
    ("later", "resolved"),
    [
        ([], True),
        ([a_record(call_id="L", ivr_outcome="abandoned", received_at=at(60 + DAY))], False),
        ([a_record(call_id="L", ivr_outcome="abandoned", received_at=at(60.000001 + DAY))], True),
        ([a_record(call_id="L", ivr_outcome="abandoned", received_at=at(0))], True),
        ([a_record(call_id="L", ivr_outcome="abandoned", received_at=at(30))], False),
        ([a_record(call_id="L", ivr_outcome="abandoned", received_at=at(30), is_test=True)], True),
        (
            [a_record(call_id="L", ivr_outcome="abandoned", received_at=at(30), caller_number="07700900124")],
            True,
        ),
        (
            [
                a_record(
                    call_id="L", ivr_outcome="abandoned", received_at=at(30), caller_number="07700 900123"
                )
            ],
            False,
        ),
        ([a_record(call_id="L", ivr_outcome="abandoned", received_at=at(30), dialled_number="+441")], False),
    ],
)
def test_a_call_is_resolved_when_its_caller_did_not_call_again(later: list[Record], resolved: bool) -> None:
    figures = annex_b_of([answered_call("C", 0, 60), *later], as_of=at(60 + 2 * DAY))
    (row,) = [
        row
        for row in figures.annex_b_first_call_resolution("month")
        if row["line"] == "PAL" and row["x_days"] == 1
    ]
    assert (row["answered_with_number"], row["resolved"], row["immature"]) == (1, int(resolved), 0)


def test_a_call_is_judged_from_the_instant_on_at_which_its_days_have_passed() -> None:
    def row(ended: float | None, **changes: Any) -> tuple[int, int, int]:
        figures = annex_b_of([answered_call("C", 0, ended, **changes)], as_of=at(60 + 7 * DAY))
        (found,) = [
            row
            for row in figures.annex_b_first_call_resolution("year")
            if row["line"] == "ALL" and row["x_days"] == 7
        ]
        return found["answered_with_number"], found["immature"], found["answered_without_number"]

    assert row(60) == (1, 0, 0)
    assert row(60.000001) == (0, 1, 0)
    assert row(None) == (0, 1, 0)
    assert row(None, caller_number="anonymous") == (0, 0, 1)


def test_callers_repeat_on_a_line_on_any_line_and_in_a_window() -> None:
    calls = [
        a_record(
            call_id=str(number), ivr_outcome="abandoned", dialled_number=f"+44163296000{line}", **changes
        )
        for number, (line, changes) in enumerate(
            [
                (1, {"received_at": at(0)}),
                (2, {"received_at": at(0)}),
                (1, {"received_at": at(6 * DAY), "caller_number": "0044 7700 900123"}),
                (1, {"received_at": at(0), "caller_number": "07700900124"}),
                (1, {"received_at": at(0), "caller_number": None}),
                (1, {"received_at": at(0), "is_test": True}),
            ]
        )
    ]
    figures = annex_b_of(calls, as_of=at(8 * DAY))
    columns = ("calls_with_number", "repeat_calls", "repeat_callers", "callers", "calls_without_number")

    def row(grain: str, line: str, day: date) -> tuple[int, ...]:
        (found,) = [
            row
            for row in figures.annex_b_repeat_callers(grain)
            if row["line"] == line and row["period_last_date"] == day
        ]
        return tuple(found[column] for column in columns)

    assert row("day", "PAL", date(2025, 1, 15)) == (2, 0, 0, 2, 1)
    assert row("day", "ALL", date(2025, 1, 15)) == (3, 2, 1, 2, 1)
    assert row("rolling_7d", "PAL", date(2025, 1, 20)) == (2, 0, 0, 2, 1)
    assert row("rolling_7d", "PAL", date(2025, 1, 21)) == (3, 2, 1, 2, 1)
    assert row("rolling_7d", "ALL", date(2025, 1, 21)) == (4, 3, 1, 2, 1)
    assert row("rolling_7d", "ALL", date(2025, 1, 22)) == (1, 0, 0, 1, 0)
    assert row("rolling_28d", "ABI", date(2025, 1, 23)) == (1, 0, 0, 1, 0)


def test_a_percentile_is_the_shortest_wait_that_enough_are_within() -> None:
    calls = [
        a_record(a_leg(1, 0, None, wait, end_reason="abandoned"), call_id=str(wait)) for wait in range(1, 21)
    ]
    rows = {
        row["percentile"]: (row["wait_seconds"], row["abandoned_calls"])
        for row in annex_b_of(calls).time_to_abandon_percentiles("week")
        if row["line"] == "ALL"
    }
    assert rows == {5: (1, 20), 25: (5, 20), 50: (10, 20), 75: (15, 20), 95: (19, 20), 99: (20, 20)}


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2025, 3, 30), 23), (date(2024, 10, 27), 25), (date(2024, 2, 29), 24)]
)
def test_a_day_has_as_many_hours_as_the_clocks_say(day: date, hours: int) -> None:
    start = period_start("day", datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    end = next_start("day", start)
    for grain, parts in (("hour", 1), ("30min", 2), ("15min", 4)):
        assert len(list(periods(grain, start, end))) == hours * parts


@pytest.mark.parametrize(
    ("grain", "start", "end"),
    [
        ("hour", "2024-06-30T22:00", "2024-06-30T23:00"),
        ("day", "2024-06-29T23:00", "2024-06-30T23:00"),
        ("week", "2024-06-23T23:00", "2024-06-30T23:00"),
        ("month", "2024-05-31T23:00", "2024-06-30T23:00"),
        ("quarter", "2024-03-31T23:00", "2024-06-30T23:00"),
        ("year", "2024-01-01T00:00", "2025-01-01T00:00"),
    ],
)
def test_periods_begin_and_end_at_local_midnight(grain: str, start: str, end: str) -> None:
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    last = datetime(2024, 6, 30, 22, 59, 59, 999_999, tzinfo=UTC)
    assert period_start(grain, last) == period_start(grain, first) == first
    assert next_start(grain, first) == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_the_spine_is_dense_to_as_of_and_a_missing_file_shows() -> None:
    def read(sequence: int, stamp: datetime, *records: Record) -> FileRead:
        return FileRead(FileName(str(sequence), "p", stamp, sequence), len(records), list(records))

    call = a_record(a_leg(1, 0, 1, 2))
    reads = [read(1, TEN + timedelta(minutes=15), call), read(3, TEN + timedelta(minutes=45)), read(4, AS_OF)]
    rows = list(AnnexB(reads, REFERENCE, TEN + timedelta(hours=1)).annex_b_calls("15min"))
    assert Counter(row["line_of_business"] for row in rows) == dict.fromkeys(LINES, 4)
    pal = [row for row in rows if row["line_of_business"] == "PAL"]
    assert [row["calls_received"] for row in pal] == [1, 0, 0, 0]
    assert [row["is_complete"] for row in pal] == [True, False, False, False]


def test_nothing_received_before_as_of_gives_no_rows() -> None:
    assert list(annex_b_of([a_record(a_leg(1, 0, 1, 2))], as_of=TEN).annex_b_calls("day")) == []


def annex_b_of(records: list[Record], as_of: datetime = AS_OF) -> AnnexB:
    return AnnexB([FileRead(FileName("f", "p", TEN, 1), len(records), records)], REFERENCE, as_of)


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        (Fraction(1, 3), Decimal("0.33333333333333333333"), True),
        (Fraction(1, 3), Decimal("0.3333333333333334"), False),
        (Fraction(1, 3), Decimal("0.3333"), False),
        (Fraction(1, 4), Decimal("0.2500"), True),
        (1, Decimal("1"), True),
        (1, True, False),
        (Fraction(1, 4), 0.25, False),
        (None, 0, False),
        (0, None, False),
        ("a", "a", True),
        (True, False, False),
    ],
)
def test_a_stored_number_is_the_expected_one_rounded_once(expected: Any, actual: Any, equal: bool) -> None:
    assert same(expected, actual) is equal


def test_a_comparison_names_what_differs_and_never_passes_on_nothing() -> None:
    row = {"grain": "day", "calls": 1}
    assert assert_equal_rows([row], [dict(row)], ["grain"]) == 1
    with pytest.raises(AssertionError, match=r"\('day',\) calls: expected 1, found 2"):
        assert_equal_rows([row], [{"grain": "day", "calls": 2}], ["grain"])
    with pytest.raises(AssertionError, match="missing from the mart"):
        assert_equal_rows([row], [], ["grain"])
    with pytest.raises(AssertionError, match="not expected"):
        assert_equal_rows([row], [row, {"grain": "week", "calls": 1}], ["grain"])
    with pytest.raises(AssertionError, match="two rows"):
        assert_equal_rows([row], [row, row], ["grain"])
    with pytest.raises(AssertionError, match="columns differ"):
        assert_equal_rows([row], [{"grain": "day"}], ["grain"])
    with pytest.raises(AssertionError, match="nothing to compare"):
        assert_equal_rows([], [], ["grain"])


@st.composite
def nights(draw: st.DrawFn) -> tuple[datetime, list[File]]:
    start = draw(st.sampled_from(sorted(NIGHTS.values())))
    return start, draw(deliveries(start, ["A", "OLD", "NEW"], calls=25, reach=(1, 3)))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(night=nights(), random=st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_same_rows_and_the_identities_hold(
    night: tuple[datetime, list[File]], random: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start, files = night
    folder = tmp_path_factory.mktemp("history")
    for file in files:
        file.write(folder)
    reads = read_folder(folder, start + timedelta(days=2))
    assert len(reads) == len(files)
    assert all(read.whole is None for read in reads)
    assert all(len(read.rejected) <= 1 for read in reads)
    as_of = start + timedelta(hours=HOURS - 1)
    once = AnnexB(reads, REFERENCE, as_of)
    again = [*reads, *reads]
    random.shuffle(again)
    twice = AnnexB(again, REFERENCE, as_of)
    for table, grains in GRAINS_OF.items():
        for grain in grains:
            rows = list(getattr(once, table)(grain))
            if rows:
                assert_equal_rows(rows, getattr(twice, table)(grain), KEY_OF[table])
    for grain in GRAINS:
        assert_identities(list(once.annex_b_calls(grain)))
    assert_day_is_the_sum_of_its_parts(once)


COUNTS = [column for column, value in measures([]).items() if value == 0]


def assert_identities(rows: list[dict[str, Any]]) -> None:
    assert rows
    for row in rows:
        assert row["calls_received"] == (
            row["ivr_self_served"] + row["ivr_abandoned"] + row["forced_disconnects"] + row["calls_offered"]
        )
        assert row["calls_offered"] == (
            row["calls_answered"]
            + row["abandoned_in_queue"]
            + row["queue_flow_outs"]
            + row["forced_disconnects_in_queue"]
            + row["open_calls"]
        )
    totals = {row["period_start"]: row for row in rows if row["line_of_business"] == "ALL"}
    for column in COUNTS:
        sums: Counter[datetime] = Counter()
        for row in rows:
            if row["line_of_business"] != "ALL":
                sums[row["period_start"]] += row[column]
        assert sums == {start: total[column] for start, total in totals.items()}


def assert_day_is_the_sum_of_its_parts(figures: AnnexB) -> None:
    for grain in ("15min", "30min", "hour"):
        sums: dict[tuple[datetime, str], Counter[str]] = {}
        for row in figures.annex_b_calls(grain):
            key = period_start("day", row["period_start"]), row["line_of_business"]
            sums.setdefault(key, Counter()).update({column: row[column] for column in COUNTS})
        days = {(row["period_start"], row["line_of_business"]): row for row in figures.annex_b_calls("day")}
        assert sums.keys() == days.keys()
        for key, day in days.items():
            assert sums[key] == {column: day[column] for column in COUNTS}


@pytest.fixture(scope="module")
def real_reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FileRead]]:
    logs = sorted((SHARED / "data" / "technion").glob("*.gz"))
    converter = SHARED / "tools" / "technion_to_calls.py"
    if not logs or not converter.exists():
        pytest.skip("the real calls are not beside this checkout (../shared/data/technion)")
    folder = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, converter, *logs, "--out", folder], check=True, capture_output=True)
    yield read_folder(folder, datetime.now(UTC))


def test_the_real_calls_of_two_months_come_out_as_known(real_reads: list[FileRead]) -> None:
    assert sum(read.rows for read in real_reads) == 64_943
    assert [rejection.rule for read in real_reads for rejection in read.rejected] == ["order"] * 58
    figures = AnnexB(real_reads, REFERENCE, datetime(1999, 3, 1, tzinfo=UTC))
    totals: Counter[tuple[str, str]] = Counter()
    for row in figures.annex_b_calls("month"):
        totals.update({(row["line_of_business"], column): row[column] for column in COUNTS})
    known = {
        "calls_received": 64_370,
        "excluded_test_calls": 515,
        "calls_retained_in_ivr": 3_139,
        "calls_offered": 61_231,
        "calls_answered": 54_180,
        "answered_within_30s": 35_716,
        "answered_within_70s": 43_871,
        "abandoned_in_queue": 7_051,
        "abandoned_in_queue_short": 469,
        "handle_seconds": 9_748_018,
    }
    assert {column: totals["ALL", column] for column in known} == known
    assert january(figures.annex_b_repeat_callers("month")) == {
        "calls_with_number": 13_192,
        "repeat_calls": 11_277,
        "repeat_callers": 2_004,
        "callers": 3_919,
    }
    week = (row for row in figures.annex_b_first_call_resolution("month") if row["x_days"] == 7)
    assert january(week) == {"answered_with_number": 11_460, "resolved": 4_357, "immature": 0}
    received = {"PAL": 44_042, "ABI": 15_102, "DSLR": 4_912, "PVS": 312, "UNMAPPED": 2}
    assert {line: totals[line, "calls_received"] for line in received} == received


def january(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """What is known of the callers of the first month, over all lines."""
    (row,) = [row for row in rows if row["period_date"] == date(1999, 1, 1) and row["line"] == "ALL"]
    known = (
        "calls_with_number",
        "repeat_calls",
        "repeat_callers",
        "callers",
        "answered_with_number",
        "resolved",
        "immature",
    )
    return {column: row[column] for column in known if column in row}
