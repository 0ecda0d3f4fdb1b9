"""What is expected of one interface beyond its contract: shares, known codes and impossible values.

One file in `interfaces/` for each; `interfaces/README.md` says what may stand in it. An interface without one has the
checks that follow from its contract.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from expectations.checks import Aspect, Severity
from expectations.contracts import quoted
from infra.settings import CHECKOUT

SUITES = Path(__file__).parent / "interfaces"
_SEEDS = CHECKOUT / "dbt" / "seeds"


@dataclass(frozen=True)
class Limit:
    """At most a share of the rows of a batch may be such.

    `where` is true of such a row; `among` says which rows count at all, and None means every one. A limit of no share
    names each row.
    """

    sentence: str
    aspect: Aspect
    severity: Severity
    where: str
    at_most: float
    among: str | None


@dataclass(frozen=True)
class Known:
    """Values must be in the reference data.

    `value` is the value of a row, `is_known` says whether the reference data has it on the row's day. Values that it
    has not are told; more than `at_most` of the rows close the gate.
    """

    sentence: str
    value: str
    is_known: str
    at_most: float


@dataclass(frozen=True)
class Suite:
    """What is expected of one interface. `one` and `many` are what a row is called.

    `kept_as_sent` names the platforms whose records stand in raw.platform_record, as they came.
    """

    one: str
    many: str
    never_empty: tuple[str, ...]
    limits: tuple[Limit, ...]
    known: tuple[Known, ...]
    kept_as_sent: tuple[str, ...]


def read_suite(interface: str) -> Suite:
    """Read the file of an interface.

    Raises:
        KeyError: A word that must be there is missing.
    """
    path = SUITES / f"{interface}.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Suite(
        one=document.get("one", "row"),
        many=document.get("many", "rows"),
        never_empty=tuple(document.get("never_empty", ())),
        limits=tuple(
            Limit(
                sentence=each["says"],
                aspect=cast(Aspect, each.get("aspect", "distribution")),
                severity="warning" if each.get("warning") else "failure",
                where=each["where"],
                at_most=each.get("at_most", 0),
                among=each.get("among"),
            )
            for each in document.get("limits", ())
        ),
        known=tuple(
            Known(each["says"], each["value"], _is_known(each), each["at_most"])
            for each in document.get("known", ())
        ),
        kept_as_sent=tuple(document.get("kept_as_sent", ())),
    )


def _is_known(known: dict[str, Any]) -> str:
    """Whether a value was valid on the local date of its row, as an SQL expression."""
    periods: dict[str, list[str]] = {}
    with (_SEEDS / f"{known['seed']}.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        column = (rows.fieldnames or [""])[0]
        for each in rows:
            periods.setdefault(each[column], []).append(_period(each, known.get("at")))
    cases = (f"when {quoted(value)} then {' or '.join(each)}" for value, each in periods.items())
    return f"(case {known['value']} {' '.join(cases)} else false end)"


def _period(row: dict[str, str], instant: str | None) -> str:
    if instant is None or "valid_from" not in row:
        return "true"
    start, end = (
        f"date {quoted(day)}::timestamp at time zone 'Europe/London'"
        for day in (row["valid_from"], row["valid_to"] or "9999-12-31")
    )
    return f"({instant} >= {start} and {instant} < {end})"
