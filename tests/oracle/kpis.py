"""KPI results, judged from the oracle's own figures and the seeds of definitions and targets.

Rows are mappings as in the other modules. Only KPIs of calls are judged here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.oracle.annex_b import AnnexB
from tests.oracle.callers import local_date
from tests.oracle.periods import next_start
from tests.oracle.reference import SEEDS

Row = dict[str, Any]

KPI_GRAINS = ("day", "week", "month", "quarter", "year")
OF_CALLS = (
    "GOS_30",
    "GOS_70",
    "CALLS_ANSWERED",
    "CALLS_ABANDONED",
    "FORCED_DISCONNECTS",
    "AHT",
    "FCR_7",
    "REPEAT_CALLS",
)
KEY = ("kpi_code", "grain", "period_start", "line_of_business")


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides of a KPI in one period and line, and how much is not known yet."""

    numerator: int | Fraction
    denominator: int
    pending: int


def kpi_results(figures: AnnexB) -> Iterator[Row]:
    """Rows of marts.kpi_results for the KPIs of calls, but for coverage, names and what was reported."""
    definitions, targets = _seed("kpis.csv"), _seed("kpi_targets.csv")
    for code in OF_CALLS:
        lines: dict[tuple[str, str], list[Row]] = {}
        for (grain, start, line), sides in sorted(_sides(figures, code).items()):
            day = local_date(start)
            definition = _holding(definitions, day, kpi_code=code)
            general = _holding(targets, day, kpi_code=code, line_of_business="ALL")
            own = _holding(targets, day, kpi_code=code, line_of_business=line)
            assert definition is not None
            rule = own or general
            status = _status(sides, rule, definition["direction"])
            end = next_start(grain, start)
            final = end + timedelta(hours=24 * int(definition["settles_after_days"])) <= figures.as_of
            before = [row for row in lines.setdefault((grain, line), []) if row["status"] != "no_data"]
            points = 0
            if own is not None and final and grain == "month" and status in ("missed", "critical"):
                points = int(own[f"points_{status}"])
            row = {
                "kpi_code": code,
                "grain": grain,
                "period_start": start,
                "period_end": end,
                "period_date": day,
                "line_of_business": line,
                "numerator": sides.numerator,
                "denominator": sides.denominator,
                "value": Fraction(sides.numerator) / sides.denominator if sides.denominator else None,
                "target": Fraction(rule["target"]) if rule else None,
                "threshold": Fraction(rule["threshold"]) if rule else None,
                "direction": definition["direction"],
                "status": status,
                "service_credit_points": points,
                "consecutive_failures": 0
                if status in ("met", "no_data")
                else 1 + (before[-1]["consecutive_failures"] if before else 0),
                "is_final": final,
                "pending": sides.pending,
                "rule_version": f"{definition['definition_version']}.{rule['target_version'] if rule else 0}",
                "as_of": figures.as_of,
            }
            lines[grain, line].append(row)
            yield row


def _sides(figures: AnnexB, code: str) -> dict[tuple[str, datetime, str], Sides]:
    found = {}
    for grain in KPI_GRAINS:
        if code == "FCR_7":
            rows = [row for row in figures.annex_b_first_call_resolution(grain) if row["x_days"] == 7]
        elif code != "REPEAT_CALLS":
            rows = list(figures.annex_b_calls(grain))
        else:
            rows = list(figures.annex_b_repeat_callers(grain)) if grain in ("day", "week", "month") else []
        for row in rows:
            line = row["line"] if "line" in row else row["line_of_business"]
            found[grain, row["period_start"], line] = _of_row(code, row)
    return found


def _of_row(code: str, row: Row) -> Sides:
    match code:
        case "GOS_30":
            return Sides(row["answered_within_30s"], row["calls_answered"], row["open_calls"])
        case "GOS_70":
            return Sides(row["answered_within_70s"], row["calls_answered"], row["open_calls"])
        case "CALLS_ANSWERED":
            return Sides(row["calls_answered"], row["calls_offered"], row["open_calls"])
        case "CALLS_ABANDONED":
            return Sides(row["abandoned_in_queue"], row["calls_offered"], row["open_calls"])
        case "FORCED_DISCONNECTS":
            forced = row["forced_disconnects"] + row["forced_disconnects_in_queue"]
            return Sides(forced, row["calls_received"], row["open_calls"])
        case "AHT":
            pending = row["calls_answered"] - row["handled_calls"]
            return Sides(row["handled_calls_seconds"], row["handled_calls"], pending)
        case "FCR_7":
            return Sides(row["resolved"], row["answered_with_number"], row["immature"])
    return Sides(row["repeat_calls"], row["calls_with_number"], 0)


def _status(sides: Sides, rule: Mapping[str, str] | None, direction: str) -> str:
    if not sides.denominator or rule is None:
        return "no_data"
    value = Fraction(sides.numerator) / sides.denominator
    sign = 1 if direction == "higher_is_better" else -1
    if sign * value >= sign * Fraction(rule["target"]):
        return "met"
    return "missed" if sign * value >= sign * Fraction(rule["threshold"]) else "critical"


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / name).open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def _holding(rows: list[dict[str, str]], day: date, **values: str) -> dict[str, str] | None:
    """The row with some values that holds on a local date."""
    for row in rows:
        starts = date.fromisoformat(row["valid_from"])
        ends = date.fromisoformat(row["valid_to"]) if row["valid_to"] else date.max
        if starts <= day < ends and all(row[name] == value for name, value in values.items()):
            return row
    return None
