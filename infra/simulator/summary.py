"""What a simulation wrote, counted while it was written, for people and for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class InterfaceCounts:
    """Counts of one interface.

    Attributes:
        files: Files written, digests apart.
        rows: Rows in all of them, good and bad, headers apart.
        bytes: Size of the files, compressed.
        duplicates: Good rows that repeat an earlier one byte for byte.
        late: Rows that lie in a later file than that of their time.
        with_unknown_field: Rows with a field that the interface does not know.
        bad_rows: Bad rows by kind.
    """

    files: int
    rows: int
    bytes: int
    duplicates: int
    late: int
    with_unknown_field: int
    bad_rows: dict[str, int]


@dataclass(frozen=True)
class SimulationSummary:
    """Counts of one simulation; those of files and rows are of `telephony_call`, but for `interfaces`.

    Attributes:
        folder: Where the files are.
        first_day: First local day.
        last_day: Last local day.
        files: Files written, digests apart.
        digests: Files that have a `.sha256` beside them.
        bytes: Size of the files, compressed.
        rows: Rows in all files, good and bad.
        records: Good rows, duplicates included.
        versions: Good rows by record version, duplicates apart.
        duplicates: Good rows that repeat an earlier one byte for byte.
        late: Rows that lie in a later file than that of their time.
        with_unknown_field: Rows with a field that the interface does not know, duplicates apart.
        bad_rows: Bad rows by kind.
        calls: Calls that began.
        calls_sent: Calls of which at least one row was written.
        calls_in_progress: Calls that had not ended at the end of the last day.
        traffic: What happened in the calls, sent or not, by plain-English name.
        interfaces: Counts of every interface that was written, by its name.
        other_traffic: What happened beside the calls, sent or not, by plain-English name.
    """

    folder: Path
    first_day: date
    last_day: date
    files: int
    digests: int
    bytes: int
    rows: int
    records: int
    versions: dict[int, int]
    duplicates: int
    late: int
    with_unknown_field: int
    bad_rows: dict[str, int]
    calls: int
    calls_sent: int
    calls_in_progress: int
    traffic: dict[str, int]
    interfaces: dict[str, InterfaceCounts] = field(default_factory=dict)
    other_traffic: dict[str, int] = field(default_factory=dict)

    @property
    def calls_not_sent(self) -> int:
        """Calls of which no row was written yet: still in progress, or their record is on its way."""
        return self.calls - self.calls_sent

    def as_text(self) -> str:
        """Say in plain English what was written."""
        versions = ", ".join(
            f"version {version}: {count:,}" for version, count in sorted(self.versions.items())
        )
        lines = [
            f"Simulated {self.first_day} to {self.last_day} into {self.folder}",
            f"Files: {self.files:,} ({self.bytes / 1e6:,.1f} MB), of which {self.digests:,} with a digest",
            f"Rows: {self.rows:,} = {self.records:,} good + {sum(self.bad_rows.values()):,} bad",
            f"Calls: {self.calls:,} = {self.calls_sent:,} sent + {self.calls_not_sent:,} not sent yet "
            f"({self.calls_in_progress:,} were in progress at the end)",
            f"Records: {versions}",
            f"Also: {self.duplicates:,} duplicates, {self.late:,} late, "
            f"{self.with_unknown_field:,} with an unknown field",
            "What happened in the calls:",
            *(f"  {name}: {count:,}" for name, count in sorted(self.traffic.items())),
            "Bad rows:" if self.bad_rows else "Bad rows: none",
            *(f"  {kind}: {count:,}" for kind, count in sorted(self.bad_rows.items())),
            *self._about_interfaces(),
        ]
        return "\n".join(lines)

    def _about_interfaces(self) -> list[str]:
        """Say what was written by interface, and what happened beside the calls."""
        return [
            "Interfaces:",
            *(
                f"  {name}: {counts.rows:,} rows in {counts.files:,} files ({counts.bytes / 1e6:,.1f} MB), "
                f"of which {sum(counts.bad_rows.values()):,} bad"
                for name, counts in self.interfaces.items()
            ),
            *(["What happened beside the calls:"] if self.other_traffic else []),
            *(f"  {name}: {count:,}" for name, count in sorted(self.other_traffic.items())),
        ]
