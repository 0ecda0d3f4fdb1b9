"""KPI results, judged from the oracle's own figures and the seeds of definitions and targets.

Rows are mappings as in the other modules. What source files cannot say - when a file was loaded, and when the raw feed
published it - is given as `Load`s.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.oracle.annex_b import AnnexB
from tests.oracle.backlog import Backlog
from tests.oracle.callers import local_date
from tests.oracle.periods import local_midnight, next_start, period_start, periods
from tests.oracle.reference import SEEDS
from tests.oracle.volumes import Volumes

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
SLOT = timedelta(hours=2)
EXTRACTS_PROMISED = timedelta(hours=2, minutes=30)
FEED_PROMISED = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides of a KPI in one period and line, and how much is not known yet."""

    numerator: int | Fraction
    denominator: int
    pending: int


@dataclass(frozen=True, slots=True)
class Load:
    """When a file of an interface was loaded, with how many rows, and when the raw feed published it."""

    interface: str
    loaded_at: datetime
    rows: int
    published_at: datetime | None = None


@dataclass
class Files:
    """The files of one interface that were loaded: platform, number, stamp, rows read and rows refused of each."""

    found: list[tuple[str, int, datetime, int, int]] = field(default_factory=list)

    @property
    def heard_until(self) -> datetime | None:
        """Stamp of the latest file."""
        return max((stamp for _, _, stamp, _, _ in self.found), default=None)

    def refused_share(self, start: datetime, end: datetime) -> Fraction | None:
        """Rows refused of rows read, in the files stamped in a period."""
        there = [(read, refused) for _, _, stamp, read, refused in self.found if start <= stamp < end]
        read = sum(read for read, _ in there)
        return Fraction(sum(refused for _, refused in there), read) if read else None

    def missing(self, start: datetime, end: datetime) -> int:
        """Numbers left out between two files, where the time between their stamps reaches into a period."""
        stamps: dict[str, dict[int, datetime]] = defaultdict(dict)
        for platform, number, stamp, _, _ in self.found:
            stamps[platform][number] = min(stamp, stamps[platform].get(number, stamp))
        return sum(
            number - before - 1
            for known in stamps.values()
            for (before, one), (number, other) in pairwise(sorted(known.items()))
            if start <= max(one, other) and end > min(one, other)
        )


class Channels(Backlog, Volumes):
    """Call-backs, e-mails and webchats, and the files of every interface but calls."""

    def files(self, interface: str) -> Files:
        """The files of an interface; not a row of them was refused."""
        return Files(
            [
                (name.platform, name.sequence, name.stamp, len(rows), 0)
                for name, rows in self._files(interface)
            ]
        )


def kpi_results(
    figures: AnnexB, channels: Channels | None = None, loads: Sequence[Load] = ()
) -> Iterator[Row]:
    """Rows of marts.kpi_results, but for names and what was reported: of calls, and of what else is given."""
    definitions, targets = _seed("kpis.csv"), _seed("kpi_targets.csv")
    coverage = _coverage_of_calls(figures)
    files = {"telephony_call": _files_of_calls(figures)}
    sides = {code: _sides(figures, code) for code in OF_CALLS}
    if channels is not None:
        sides |= _sides_of_channels(channels)
        for interface in ("callback_event", "email_message", "webchat_session", "wip_extract"):
            files[interface] = channels.files(interface)
    if loads:
        sides["WIP_FRESHNESS"] = _by_period(_slots(loads, figures.as_of))
        sides["FEED_FRESHNESS"] = _by_period(_published(loads, figures.as_of))
    for code, found in sides.items():
        lines: dict[tuple[str, str], list[Row]] = {}
        for (grain, start, line), side in sorted(found.items(), key=lambda item: item[0]):
            day = local_date(start)
            definition = _holding(definitions, day, kpi_code=code)
            general = _holding(targets, day, kpi_code=code, line_of_business="ALL")
            own = _holding(targets, day, kpi_code=code, line_of_business=line)
            assert definition is not None
            rule = own or general
            status = _status(side, rule, definition["direction"])
            end = next_start(grain, start)
            of_files = files.get(definition["interface"])
            looks_until = local_midnight(
                local_date(end) + timedelta(days=int(definition["looks_ahead_days"]))
            )
            missing = of_files.missing(start, looks_until) if of_files else None
            final = _is_final(definition, end, looks_until, side, of_files, missing, figures.as_of)
            before = [row for row in lines.setdefault((grain, line), []) if row["is_final"]]
            before = [row for row in before if row["status"] != "no_data"]
            points = 0
            if own is not None and final and grain == "month" and status in ("missed", "critical"):
                points = int(own[f"points_{status}"])
            version = f"{definition['definition_version']}.{rule['target_version'] if rule else 0}"
            of_calls = definition["interface"] == "telephony_call"
            row = {
                "kpi_code": code,
                "grain": grain,
                "period_start": start,
                "period_end": end,
                "period_date": day,
                "line_of_business": line,
                "numerator": side.numerator,
                "denominator": side.denominator,
                "value": Fraction(side.numerator) / side.denominator if side.denominator else None,
                "target": Fraction(rule["target"]) if rule else None,
                "threshold": Fraction(rule["threshold"]) if rule else None,
                "direction": definition["direction"],
                "status": status,
                "service_credit_points": points,
                "consecutive_failures": 0
                if status in ("met", "no_data") or not final
                else 1 + (before[-1]["consecutive_failures"] if before else 0),
                "is_final": final,
                "is_complete": not missing,
                "pending": side.pending,
                "rule_version": version + (f".{line}" if own and line != "ALL" else ""),
                **(coverage[grain, start, line] if of_calls else dict.fromkeys(coverage_columns())),
                "quarantined_share": of_files.refused_share(start, end) if of_files else None,
                "missing_files": missing,
                "as_of": figures.as_of,
            }
            lines[grain, line].append(row)
            yield row


def coverage_columns() -> tuple[str, ...]:
    """The columns that only KPIs of calls have."""
    return ("unmapped_share", "uncoded_share", "without_number_share")


def _is_final(
    definition: Mapping[str, str],
    end: datetime,
    looks_until: datetime,
    side: Sides,
    files: Files | None,
    missing: int | None,
    as_of: datetime,
) -> bool:
    """Whether nobody waits for anything any more, or has waited long enough."""
    day = timedelta(hours=24)
    if as_of < end + int(definition["settles_after_days"]) * day:
        return False
    if as_of >= end + int(definition["waits_at_most_days"]) * day:
        return True
    if definition["interface"] != "raw_feed":
        heard_until = files.heard_until if files else None
        if missing or heard_until is None or heard_until < looks_until:
            return False
    return side.pending == 0


def _files_of_calls(figures: AnnexB) -> Files:
    return Files(
        [
            (read.name.platform, read.name.sequence, read.name.stamp, read.rows, len(read.rejected))
            for read in figures.reads
            if read.whole is None
        ]
    )


def _coverage_of_calls(figures: AnnexB) -> dict[tuple[str, datetime, str], Row]:
    found = {}
    for grain in KPI_GRAINS:
        counted = {
            (row["period_start"], row["line_of_business"]): row for row in figures.annex_b_calls(grain)
        }
        uncoded = {
            (row["period_start"], row["line"]): row["calls_primary"]
            for row in figures.annex_b_call_types(grain)
            if row["reason_code"] == "UNCODED"
        }
        for (start, line), row in counted.items():
            found[grain, start, line] = {
                "unmapped_share": _share(
                    counted[start, "UNMAPPED"]["calls_received"], counted[start, "ALL"]["calls_received"]
                ),
                "uncoded_share": _share(uncoded.get((start, line), 0), row["calls_answered"]),
                "without_number_share": _share(row["calls_without_caller_number"], row["calls_received"]),
            }
    return found


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _sides_of_channels(channels: Channels) -> dict[str, dict[tuple[str, datetime, str], Sides]]:
    return {
        "CALLBACKS_24H": {
            (row["grain"], row["period_start"], row["line"]): Sides(row["reached_in_time"], row["due"], 0)
            for row in channels.annex_b_callbacks(KPI_GRAINS)
        },
        "EMAILS_48H": {
            (row["grain"], row["period_start"], row["line"]): Sides(row["replied_in_time"], row["due"], 0)
            for row in channels.email_volumes(KPI_GRAINS)
        },
        "WEBCHAT_60S": {
            (row["grain"], row["period_start"], row["line_of_business"]): Sides(
                row["accepted_within_60s"], row["waits"], row["open_chats"]
            )
            for row in channels.webchat_volumes(KPI_GRAINS)
        },
    }


def _slots(loads: Sequence[Load], as_of: datetime) -> Iterator[tuple[datetime, Sides]]:
    """Every two-hour slot that is over, from the one of the first extract: in time unless one waited in it too long."""
    loaded = sorted(
        load.loaded_at for load in loads if load.interface == "wip_extract" and load.loaded_at < as_of
    )
    if not loaded:
        return
    late = [
        (one + EXTRACTS_PROMISED, other)
        for one, other in pairwise([*loaded, as_of])
        if other - one > EXTRACTS_PROMISED
    ]
    midnight = loaded[0].replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight + (loaded[0] - midnight) // SLOT * SLOT
    while start + SLOT <= as_of:
        in_time = not any(begins < start + SLOT and ends > start for begins, ends in late)
        yield start, Sides(int(in_time), 1, 0)
        start += SLOT


def _published(loads: Sequence[Load], as_of: datetime) -> Iterator[tuple[datetime, Sides]]:
    """Every file of calls with rows that was loaded; and a day's nothing for each day, so that it has a row."""
    files = [
        load for load in loads if load.interface == "telephony_call" and load.rows and load.loaded_at < as_of
    ]
    for load in files:
        is_published = load.published_at is not None and load.published_at <= as_of
        in_time = is_published and load.published_at <= load.loaded_at + FEED_PROMISED  # type: ignore[operator]
        pending = not is_published and load.loaded_at + FEED_PROMISED > as_of
        yield load.loaded_at, Sides(int(in_time), int(not pending), int(pending))
    if files:
        for start, _ in periods("day", min(load.loaded_at for load in files), as_of):
            yield start, Sides(0, 0, 0)


def _by_period(counted: Iterable[tuple[datetime, Sides]]) -> dict[tuple[str, datetime, str], Sides]:
    """Added up over every period, for the one line that ledgers have."""
    found: dict[tuple[str, datetime, str], Sides] = defaultdict(lambda: Sides(0, 0, 0))
    for at, side in counted:
        for grain in KPI_GRAINS:
            key = (grain, period_start(grain, at), "ALL")
            known = found[key]
            found[key] = Sides(
                known.numerator + side.numerator,
                known.denominator + side.denominator,
                known.pending + side.pending,
            )
    return dict(found)


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
