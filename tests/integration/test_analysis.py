"""Crosstabs count what a plain count of the contacts gives, and the groups of customers are always the same."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

import pytest
from psycopg.rows import dict_row
from rich.console import Console

from analysis.crosstab import DIMENSIONS, MEASURES, TOTAL, crosstab
from analysis.periods import LONDON, read_period
from analysis.segments import FEATURES, find_segments
from infra.postgres import connect
from infra.settings import CHECKOUT, Settings
from infra.simulator import simulate
from ingestion.raw_tables import ensure_raw_tables
from ingestion.run import ingest
from transformation.build import build

pytestmark = pytest.mark.services

CHANNELS = (
    "telephony_call",
    "callback_event",
    "webchat_session",
    "email_message",
    "text_message",
    "complaint",
)


@pytest.fixture(scope="module")
def built(warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("files")
    simulate(folder, days=6, seed=4, calls_per_day=250, last_day=date(2026, 6, 6), interfaces=CHANNELS)
    ensure_raw_tables(warehouse)
    for interface in CHANNELS:
        ingest(warehouse, interface, str(folder), console=Console(quiet=True))
    result = build(warehouse, as_of=datetime(2026, 6, 7, tzinfo=UTC), report=lambda line: None)
    assert result.succeeded, result.as_text()
    return warehouse


def contacts(settings: Settings) -> list[dict[str, Any]]:
    with connect(settings, row_factory=dict_row) as connection:
        rows: list[dict[str, Any]] = connection.execute(
            "select * from marts.fct_contacts where not is_test"
        ).fetchall()  # type: ignore[assignment]
    assert len(rows) > 1000
    return rows


def test_a_crosstab_is_a_plain_count(built: Settings) -> None:
    table = crosstab(
        built,
        "channel",
        "line",
        "answered_share",
        date(2026, 6, 2),
        date(2026, 6, 4),
        {"direction": "inbound"},
    )
    counted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in contacts(built):
        if row["direction"] == "inbound" and date(2026, 6, 2) <= row["received_date"] <= date(2026, 6, 4):
            for cell in itertools.product((row["channel"], TOTAL), (row["line_of_business"], TOTAL)):
                counted[cell][0] += row["is_answered"]
                counted[cell][1] += 1
    assert len(counted) > 10 and table.cells.keys() == counted.keys()
    for cell, (answered, all_of_them) in counted.items():
        shown = table.cells[cell]
        assert shown is not None and abs(Fraction(shown) - Fraction(answered, all_of_them)) < Fraction(
            1, 10**12
        )


def test_totals_are_counted_and_not_added_up(built: Settings) -> None:
    table = crosstab(built, "channel", "line", "customers")
    keys = {row["customer_key"] for row in contacts(built)} - {None}
    assert table.cells[TOTAL, TOTAL] == len(keys)
    parts = sum(
        table.cells.get((row, column)) or 0 for row in table.row_values for column in table.column_values
    )
    assert parts > len(keys)


@pytest.mark.parametrize(("rows", "measure"), [*zip(DIMENSIONS, itertools.cycle(MEASURES), strict=False)])
def test_every_dimension_and_measure_counts(built: Settings, rows: str, measure: str) -> None:
    table = crosstab(built, rows, "channel", measure)
    assert table.row_values and set(table.column_values) >= {"voice", "email"}
    assert len(table.as_text()) == len(table.row_values) + 2


def test_a_wrong_name_lists_the_names_and_is_no_way_into_the_database(
    built: Settings, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for arguments in (
        ("channel", "nonsense"),
        ("channel", "line", "no"),
        ("channel", "line", "contacts", "--only", "x=1"),
    ):
        done = run_cli(built, "crosstab", *arguments, check=False)
        assert done.returncode == 1 and "There are: " in done.stderr
    odd = crosstab(built, "channel", "line", "contacts", only={"reason": "x' or '1'='1"})
    assert odd.row_values == ()


def test_the_how_to_names_every_dimension_and_measure() -> None:
    text = (CHECKOUT / "docs" / "how-to" / "crosstab.md").read_text(encoding="utf-8")
    for title, names in (("Dimensions", DIMENSIONS), ("Measures", MEASURES)):
        listed = re.search(rf"\*\*{title}\*\*:(.*?)\n\n", text, re.DOTALL)
        assert listed and re.findall(r"`(\w+)`", listed[1]) == list(names)


def test_groups_of_customers_are_the_same_again_and_add_up(built: Settings) -> None:
    first, second = find_segments(built), find_segments(built)
    assert first == second
    since = first.as_of - timedelta(days=28)
    often: dict[str, int] = defaultdict(int)
    for row in contacts(built):
        if (
            row["customer_key"]
            and row["direction"] == "inbound"
            and since <= row["received_at"] < first.as_of
        ):
            often[row["customer_key"]] += 1
    often = {key: times for key, times in often.items() if times > 1}
    assert first.customers == len(often) > 100
    assert sum(each.customers for each in first.segments) == len(often)
    assert sum(each.contacts for each in first.segments) == sum(often.values())
    assert [each.customers for each in first.segments] == sorted(
        (each.customers for each in first.segments), reverse=True
    )
    with connect(built, row_factory=dict_row) as connection:
        customers: list[dict[str, Any]] = connection.execute(
            "select * from marts.customer_segments"
        ).fetchall()  # type: ignore[assignment]
        profiles = connection.execute("select * from marts.segment_profiles").fetchall()
    assert {row["customer_key"]: int(row["contacts"]) for row in customers} == often
    assert FEATURES.keys() <= customers[0].keys()
    assert len(profiles) == 2 * len(first.segments)
    for each in first.segments:
        of_it = [row for row in customers if row["segment"] == each.segment]
        assert len(of_it) == each.customers and {row["segment_name"] for row in of_it} == {each.name}
    sample = random.Random(1).choice(customers)
    mine = sorted(
        row["received_at"] for row in contacts(built)
        if row["customer_key"] == sample["customer_key"] and row["direction"] == "inbound"
    )  # fmt: skip
    gaps = [(later - earlier).total_seconds() / 3600 for earlier, later in itertools.pairwise(mine)]
    assert float(sample["hours_between"]) == pytest.approx(sum(gaps) / len(gaps))


@pytest.mark.parametrize(
    ("text", "grain", "first_day"),
    [
        ("2026", "year", date(2026, 1, 1)),
        ("2026-Q4", "quarter", date(2026, 10, 1)),
        ("2026-11", "month", date(2026, 11, 1)),
        ("2026-W01", "week", date(2025, 12, 29)),
        ("2026-03-29", "day", date(2026, 3, 29)),
    ],
)
def test_periods_are_read_as_people_write_them(text: str, grain: str, first_day: date) -> None:
    period = read_period(text)
    assert (period.grain, period.first_day) == (grain, first_day)
    assert period.start.astimezone(LONDON).replace(tzinfo=None) == datetime.combine(first_day, time())


@pytest.mark.parametrize("text", ["2026-13", "2026-Q5", "2026-1", "2026-W54", "2026-02-30", "last month", ""])
def test_what_is_no_period_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="period"):
        read_period(text)
