"""Any measure of contacts by any two dimensions (ACC074, ACC075), over all channels.

Dimensions and measures are declared below, each as one SQL expression over `marts.fct_contacts` (as `contacts`) and
`marts.dim_date` (as `days`). Ratios are made from the sums of their cell, so that the totals are right too: they are
counted, not added up. Test contacts are left out.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.postgres import connect
from infra.settings import Settings

_LOCAL = "(contacts.received_at at time zone 'Europe/London')"

DIMENSIONS = {
    "channel": "contacts.channel",
    "line": "contacts.line_of_business",
    "direction": "contacts.direction",
    "language": "coalesce(contacts.language, 'not known')",
    "outcome": "contacts.outcome",
    "reason": "coalesce(contacts.primary_reason_code, 'none')",
    "transferred_to": "case when contacts.is_transferred then coalesce(contacts.transferred_to, 'not known') "
    "else 'not transferred' end",
    "transfer_mode": "coalesce(contacts.transfer_mode, 'none')",
    "complaint": "case when contacts.has_complaint or contacts.is_complaint then 'complaint' else 'no complaint' end",
    "agent": "coalesce(contacts.agent_id, 'none')",
    "customer_known": "case when contacts.customer_key is null then contacts.customer_key_missing_reason "
    "else 'known' end",
    "hour": f"to_char({_LOCAL}, 'HH24') || ':00'",
    "weekday": "extract(isodow from contacts.received_date) || ' ' || to_char(contacts.received_date, 'Dy')",
    "day": "contacts.received_date::text",
    "week": "to_char(contacts.received_date, 'IYYY-\"W\"IW')",
    "month": "to_char(contacts.received_date, 'YYYY-MM')",
    "opening_hours": "case when contacts.is_in_opening_hours then 'in opening hours' else 'out of hours' end",
    "bank_holiday": "case when days.is_bank_holiday then 'bank holiday' else 'other day' end",
}

MEASURES = {
    "contacts": "count(*)",
    "answered": "count(*) filter (where contacts.is_answered)",
    "answered_share": "count(*) filter (where contacts.is_answered)::numeric / count(*)",
    "customers": "count(distinct contacts.customer_key)",
    "contacts_per_customer": "count(contacts.customer_key)::numeric / nullif(count(distinct contacts.customer_key), 0)",
    "transferred": "count(*) filter (where contacts.is_transferred)",
    "transferred_share": "count(*) filter (where contacts.is_transferred)::numeric / count(*)",
    "complaints": "count(*) filter (where contacts.has_complaint or contacts.is_complaint)",
    "wait_avg_seconds": "avg(contacts.wait_seconds) filter (where contacts.is_answered)",
    "wait_max_seconds": "max(contacts.wait_seconds) filter (where contacts.is_answered)",
    "handle_avg_seconds": "avg(contacts.handle_seconds)",
    "handle_seconds": "sum(contacts.handle_seconds)",
}

TOTAL = "Total"


@dataclass(frozen=True)
class Crosstab:
    """One measure by two dimensions.

    Attributes:
        rows: Name of the dimension down the side.
        columns: Name of the dimension across the top.
        measure: Name of the measure.
        row_values: Values down the side, in order.
        column_values: Values across the top, in order.
        cells: The measure by (row value, column value); TOTAL stands for all. None: nothing to divide by.
    """

    rows: str
    columns: str
    measure: str
    row_values: tuple[str, ...]
    column_values: tuple[str, ...]
    cells: dict[tuple[str, str], Decimal | None]

    def lines(self) -> list[list[str]]:
        """The table as text: a header, a line for each row value, and the totals. An empty cell has no contacts."""
        across = (*self.column_values, TOTAL)
        return [
            [f"{self.rows} \\ {self.columns}", *across],
            *([row, *(self._shown((row, column)) for column in across)] for row in (*self.row_values, TOTAL)),
        ]

    def as_text(self) -> list[str]:
        """The table in aligned columns, the numbers to the right."""
        lines = self.lines()
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        return [
            "  ".join([line[0].ljust(widths[0]), *(map(str.rjust, line[1:], widths[1:]))]) for line in lines
        ]

    def write(self, path: Path) -> None:
        """Write the table as CSV (UTF-8, RFC 4180)."""
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(self.lines())

    def _shown(self, cell: tuple[str, str]) -> str:
        value = self.cells.get(cell)
        if value is None:
            return ""
        return str(int(value)) if value == value.to_integral_value() else f"{value:.4f}"


def crosstab(
    settings: Settings,
    rows: str,
    columns: str,
    measure: str,
    first: date | None = None,
    last: date | None = None,
    only: dict[str, str] | None = None,
) -> Crosstab:
    """Count.

    Args:
        settings: The instance.
        rows: Dimension down the side, one of DIMENSIONS.
        columns: Dimension across the top.
        measure: One of MEASURES.
        first: First local day; None: from the first contact.
        last: Last local day; None: to the last contact.
        only: Values that dimensions must have.

    Raises:
        ValueError: No such dimension or measure; the message lists what there is.
    """
    conditions = dict(only or {})
    for name in (rows, columns, *conditions):
        if name not in DIMENSIONS:
            raise ValueError(f"There is no dimension {name!r}. There are: {', '.join(DIMENSIONS)}.")
    if measure not in MEASURES:
        raise ValueError(f"There is no measure {measure!r}. There are: {', '.join(MEASURES)}.")
    where = "".join(f" and {DIMENSIONS[name]} = %({name})s" for name in conditions)
    where += " and contacts.received_date >= %(first_day)s" if first else ""
    where += " and contacts.received_date <= %(last_day)s" if last else ""
    # Only texts of the two lists above and names checked against them become part of the statement.
    counted = (
        f"select {DIMENSIONS[rows]} as down, {DIMENSIONS[columns]} as across, {MEASURES[measure]} as value "  # noqa: S608
        "from marts.fct_contacts as contacts "
        "inner join marts.dim_date as days on contacts.received_date = days.date_day "
        f"where not contacts.is_test{where} group by cube (1, 2)"
    )
    statement = (
        f"select coalesce(down, %(total)s), coalesce(across, %(total)s), value::numeric from ({counted}) as c"  # noqa: S608
    )
    parameters: dict[str, Any] = {"total": TOTAL, "first_day": first, "last_day": last, **conditions}
    with connect(settings) as connection:
        found = connection.execute(statement.encode(), parameters).fetchall()
    cells = {(down, across): value for down, across, value in found}
    return Crosstab(
        rows,
        columns,
        measure,
        tuple(sorted({down for down, _ in cells} - {TOTAL})),
        tuple(sorted({across for _, across in cells} - {TOTAL})),
        cells,
    )
