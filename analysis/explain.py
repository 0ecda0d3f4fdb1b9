"""Explains a KPI of a period and line: what it means, how it came about, and the calls behind it.

Everything is read from `marts.kpi_results`, `marts.kpi_definitions` and `marts.kpi_contributions`, which Superset can
open as well. This module computes nothing: it adds up the contributions and says so if they were not the figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Composed, Identifier

from analysis.periods import LONDON, Period
from infra.postgres import connect
from infra.settings import Settings

ITEM_COLUMNS = (
    "item_kind", "item_id", "line_of_business", "counted_at", "numerator", "denominator", "measured_seconds",
    "exclusion", "record_version", "file_name", "line_number", "file_sha256",
)  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """One KPI result and what stands behind it.

    Attributes:
        period: The period asked for.
        definition: Row of `marts.kpi_definitions` that held in the period.
        result: Row of `marts.kpi_results`.
        counted: How many items it looks at, and their sums: items, counting, numerator, denominator.
        exclusions: Why items do not count, and how many each, the most frequent first.
        items: The first items, those that count against the KPI first; columns ITEM_COLUMNS.
    """

    period: Period
    definition: dict[str, Any]
    result: dict[str, Any]
    counted: dict[str, Any]
    exclusions: list[tuple[str, int]]
    items: list[dict[str, Any]]

    @property
    def adds_up(self) -> bool:
        """Whether the contributions are the figure, to the last digit."""
        return (self.counted["numerator"], self.counted["denominator"]) == (
            self.result["numerator"],
            self.result["denominator"],
        )

    def as_text(self) -> str:
        """The explanation in plain English."""
        result, definition = self.result, self.definition
        line = result["line_of_business"]
        lines = [
            f"{definition['kpi_name']} ({result['kpi_code']}), {line}, {self.period.written}",
            "",
            f"Formula     {definition['numerator_in_words']}",
            f"            divided by: {definition['denominator_in_words']}",
            f"Counted by  {definition['counted_by']} (Europe/London)",
            f"Asked for   {definition['clause']}; rule version {result['rule_version']}",
            f"Figure      {_number(result['numerator'])} / {_number(result['denominator'])} = "
            f"{_value(result['value'], result['unit'])}",
            f"Target      {_value(result['target'], result['unit'])}, critical beyond "
            f"{_value(result['threshold'], result['unit'])} ({result['direction'].replace('_', ' ')})",
            f"Status      {result['status']}; {_number(result['service_credit_points'])} service-credit points; "
            f"{result['consecutive_failures']} failures in a row",
            f"Stands      {self._standing()}; "
            f"{result['pending']:,} items not known yet; as of {result['as_of']:%Y-%m-%d %H:%M} UTC",
            f"Reported    {self._reported()}",
            f"Data        {self._coverage()}",
            "",
            f"Behind it   {self.counted['items']:,} items, of which {self.counted['counting']:,} count and "
            f"{self.counted['items'] - self.counted['counting']:,} do not:",
            *(f"            {count:>10,}  {reason}" for reason, count in self.exclusions),
            f"            Added up they are {_number(self.counted['numerator'])} / "
            f"{_number(self.counted['denominator'])}: "
            + (
                "the figure above." if self.adds_up else "NOT THE FIGURE ABOVE. Build again, and report this."
            ),
            "",
        ]
        return "\n".join(lines)

    def _standing(self) -> str:
        if self.result["is_final"]:
            return "final" if self.result["is_complete"] else "final although a file never came"
        return (
            f"not final: it is {_days(self.definition['settles_after_days'])} after the period, or up to "
            f"{_days(self.definition['waits_at_most_days'])} while something is not known"
        )

    def _reported(self) -> str:
        result = self.result
        if result["first_reported_at"] is None:
            return "not yet"
        first = _value(result["first_reported_value"], result["unit"])
        same = "and stands" if result["first_reported_value"] == result["value"] else "AND HAS CHANGED SINCE"
        return f"first on {result['first_reported_at']:%Y-%m-%d %H:%M} UTC as {first}, {same}"

    def _coverage(self) -> str:
        shares = [
            ("of an unmapped number", "unmapped_share"),
            ("answered without a code", "uncoded_share"),
            ("without a caller number", "without_number_share"),
            ("rows refused", "quarantined_share"),
        ]
        parts = [
            f"{self.result[column] * 100:.2f} % {words}"
            for words, column in shares
            if self.result[column] is not None
        ]
        missing = self.result["missing_files"]
        if missing is not None:
            parts.append("1 file missing" if missing == 1 else f"{missing:,} files missing")
        return ", ".join(parts) or "no finding applies"


def explain(settings: Settings, kpi_code: str, line: str, period: Period, limit: int = 20) -> Explanation:
    """Explain one KPI result.

    Args:
        settings: The instance.
        kpi_code: Code of the KPI, such as GOS_30.
        line: Line of business, or ALL.
        period: The period.
        limit: At most so many items; 0 for none.

    Raises:
        LookupError: There is no such result; the message lists what there is.
    """
    with connect(settings) as connection, connection.cursor(row_factory=dict_row) as cursor:
        result = cursor.execute(
            "select * from marts.kpi_results "
            "where kpi_code = %s and grain = %s and period_start = %s and line_of_business = %s",
            (kpi_code, period.grain, period.start, line),
        ).fetchone()
        if result is None:
            raise LookupError(_not_there(cursor, kpi_code, line, period))
        definition = cursor.execute(
            "select * from marts.kpi_definitions where kpi_code = %(code)s and valid_from <= %(day)s "
            "and coalesce(valid_to, 'infinity') > %(day)s limit 1",
            {"code": kpi_code, "day": period.first_day},
        ).fetchone()
        # One pass over the calls of a year or a month: their sums, and why some do not count.
        parts = cursor.execute(
            SQL("{} group by exclusion order by items desc, exclusion").format(_behind(_SUMS, line)),
            _parameters(result),
        ).fetchall()
        items = cursor.execute(
            _behind(_ITEMS, line) + _worst_first(result) + SQL(" limit %(limit)s"),
            {**_parameters(result), "limit": limit},
        ).fetchall()
    assert definition is not None  # noqa: S101  # the view joins it
    counted = {
        "items": sum(part["items"] for part in parts),
        "counting": sum(part["items"] for part in parts if part["exclusion"] is None),
        "numerator": sum(part["numerator"] for part in parts),
        "denominator": sum(part["denominator"] for part in parts),
    }
    exclusions = [(part["exclusion"], part["items"]) for part in parts if part["exclusion"] is not None]
    return Explanation(period, definition, result, counted, exclusions, items)


def write_items(settings: Settings, explanation: Explanation, path: Path) -> int:
    """Write every item behind an explained result as CSV (UTF-8, RFC 4180, header), and say how many.

    Args:
        settings: The instance.
        explanation: What was explained.
        path: File to write; replaced if it is there.
    """
    result = explanation.result
    statement = _behind(_ITEMS, result["line_of_business"]) + _worst_first(result)
    with (
        connect(settings) as connection,
        path.open("wb") as file,
        _copied(connection, statement, result) as blocks,
    ):
        for block in blocks:
            file.write(block)
        return int(explanation.counted["items"])


@contextmanager
def _copied(connection: psycopg.Connection, statement: Composed, result: dict[str, Any]) -> Iterator[Any]:
    client = psycopg.ClientCursor(connection)
    query = client.mogrify(statement, _parameters(result))
    with connection.cursor().copy(f"copy ({query}) to stdout with (format csv, header)") as copy:
        yield copy


_SUMS = SQL("exclusion, count(*) as items, sum(numerator) as numerator, sum(denominator) as denominator")
_ITEMS = SQL(", ").join(map(Identifier, ITEM_COLUMNS))


def _behind(columns: Composable, line: str) -> Composed:
    """The contributions to one result. ALL is every line, so that it needs no condition."""
    # A caller who calls on two lines repeats over all of them, and on neither.
    numerator, of_line = (
        ("numerator_in_all", "") if line == "ALL" else ("numerator", "and line_of_business = %(line)s")
    )
    return SQL(
        "select {} from (select kpi_code, grain, item_kind, item_id, line_of_business, counted_at, {} as numerator, "
        "denominator, measured_seconds, exclusion, record_version, file_name, line_number, file_sha256 "
        "from marts.kpi_contributions) as contributions where kpi_code = %(code)s "
        "and (grain is null or grain = %(grain)s) and counted_at >= %(start)s and counted_at < %(end)s {}"
    ).format(columns, Identifier(numerator), SQL(of_line))


def _worst_first(result: dict[str, Any]) -> Composed:
    """What counts and fails comes first, then what counts and succeeds, then what does not count."""
    direction = SQL("asc" if result["direction"] == "higher_is_better" else "desc")
    return SQL(" order by exclusion is not null, numerator {}, counted_at, item_id").format(direction)


def _parameters(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": result["kpi_code"],
        "grain": result["grain"],
        "start": result["period_start"],
        "end": result["period_end"],
        "line": result["line_of_business"],
    }


def _not_there(cursor: psycopg.Cursor[dict[str, Any]], kpi_code: str, line: str, period: Period) -> str:
    codes = [
        row["kpi_code"]
        for row in cursor.execute("select distinct kpi_code from marts.kpi_definitions order by 1").fetchall()
    ]
    if kpi_code not in codes:
        return f"There is no KPI {kpi_code}. There are: {', '.join(codes)}."
    found = cursor.execute(
        "select array_agg(distinct line_of_business) as lines, min(period_date) as first, max(period_date) as last "
        "from marts.kpi_results where kpi_code = %s and grain = %s",
        (kpi_code, period.grain),
    ).fetchone()
    if found is None or found["lines"] is None:
        return f"{kpi_code} has no results by {period.grain} yet."
    return (
        f"{kpi_code} has no result for {line} in {period.written}. It has, by {period.grain}, lines "
        f"{', '.join(found['lines'])}, from {found['first']} to {found['last']}."
    )


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _number(value: Decimal | None) -> str:
    if value is None:
        return "none"
    whole = value == value.to_integral_value()
    return f"{int(value):,}" if whole else f"{value.normalize():,f}"


def _value(value: Decimal | None, unit: str) -> str:
    if value is None:
        return "no value"
    return f"{value * 100:.2f} %" if unit == "share" else f"{value:,.1f} seconds"


def item_lines(item: dict[str, Any]) -> list[str]:
    """One item in two lines for people: when (London), its key, line and part; then the record that says so."""
    part = item["exclusion"] or f"{_number(item['numerator'])} / {_number(item['denominator'])}"
    measured = "" if item["measured_seconds"] is None else f"  {item['measured_seconds']:,.3f} s"
    record = "" if item["record_version"] is None else f"record version {item['record_version']}, "
    when = f"{item['counted_at'].astimezone(LONDON):%Y-%m-%d %H:%M:%S}"
    lines = [f"{when}  {item['item_kind']} {item['item_id']}  {item['line_of_business']}  {part}{measured}"]
    if item["file_name"]:
        line = "" if item["line_number"] is None else f", line {item['line_number']:,}"
        lines.append(f"    {record}file {item['file_name']}{line}, SHA-256 {item['file_sha256']}")
    return lines
