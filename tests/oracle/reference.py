"""Reference data as it stood on a date, read from the seed files.

The seeds are input to the figures, like the call records; how they are applied is written here anew.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

SEEDS = Path(__file__).resolve().parents[2] / "dbt" / "seeds"
MAPPED_LINES = ("PAL", "ABI", "DSLR", "PVS")
UNMAPPED = "UNMAPPED"


@dataclass(frozen=True, slots=True)
class Dated:
    """A value and the local dates on which it holds: from the first, up to but without the last."""

    key: str
    value: str
    valid_from: date
    valid_to: date | None

    def holds(self, day: date) -> bool:
        """Whether the value holds on a local date."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class Reference:
    """Dialled numbers and agreed reason codes of calls, from the seeds or from rows of a test's own."""

    def __init__(self, dialled_numbers: list[Dated], reason_codes: list[Dated]):
        self._lines: dict[str, list[Dated]] = {}
        for row in dialled_numbers:
            self._lines.setdefault(row.key, []).append(row)
        self._codes: dict[str, list[Dated]] = {}
        for row in reason_codes:
            self._codes.setdefault(row.key, []).append(row)

    def line(self, dialled_number: str, day: date) -> str:
        """Line of business of a dialled number on a local date; UNMAPPED when no row says."""
        for row in self._lines.get(dialled_number, ()):
            if row.holds(day):
                return row.value
        return UNMAPPED

    def is_agreed(self, reason_code: str, day: date) -> bool:
        """Whether a reason code is in the agreed list on a local date."""
        return any(row.holds(day) for row in self._codes.get(reason_code, ()))


def from_seeds(seeds: Path = SEEDS) -> Reference:
    """The reference data that the product ships."""
    return Reference(
        _dated(seeds / "dialled_numbers.csv", "dialled_number", "line_of_business"),
        [
            row
            for row in _dated(seeds / "reason_codes.csv", "reason_code", "channel")
            if row.value in ("voice", "all")
        ],
    )


def _dated(path: Path, key: str, value: str) -> list[Dated]:
    with path.open(encoding="utf-8", newline="") as rows:
        return [
            Dated(
                row[key],
                row[value],
                date.fromisoformat(row["valid_from"]),
                date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            )
            for row in csv.DictReader(rows)
        ]
