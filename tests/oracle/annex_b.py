"""Every row of the Annex B call tables, counted from the facts of single calls.

A period's figures are counted from its calls, at every grain anew: nothing is added up from shorter periods,
so that the sums which the marts may use are tested too. Rows are mappings from column to value: whole
numbers, exact fractions, or None where a denominator is zero. Instants are in UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

from tests.oracle.callers import (
    CALLER_GRAINS,
    RESOLUTION_DAYS,
    Verdict,
    callers_by_line,
    local_date,
    spans,
    verdicts,
)
from tests.oracle.calls import Call, call_of
from tests.oracle.periods import GRAINS, LONDON, period_start, periods
from tests.oracle.records import FileRead, current_versions, is_complete, missing_stretches
from tests.oracle.reference import MAPPED_LINES, UNMAPPED, Reference

Row = dict[str, Any]

LINES = (*MAPPED_LINES, UNMAPPED, "ALL")
SECOND = 1_000_000
SHORT_ABANDON_SECONDS = 5
THRESHOLDS = (30, 70)
VARIANT_GRAINS = ("hour", "day", "week", "month", "quarter", "year")
ABANDON_GRAINS = ("day", "week", "month")
PERCENTILES = (5, 25, 50, 75, 95, 99)
BUCKET_EDGES = (0, 5, 10, 20, 30, 45, 60, 70, 90, 120, 180, 300, 600, 900, 1200, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Cell:
    """The calls of one line in one period, and whether every file of that period is known to be there."""

    grain: str
    start: datetime
    end: datetime
    line: str
    is_complete: bool
    calls: Sequence[Call]
    measures: Row

    def key(self, line: str = "line_of_business") -> Row:
        """The columns that name the cell. `line` is what the table calls the line of business."""
        return {"grain": self.grain, "period_start": self.start, line: self.line}


class AnnexB:
    """The tables, as they stood at an instant. Each method gives one table's rows, in a fixed order."""

    def __init__(self, reads: Sequence[FileRead], reference: Reference, as_of: datetime):
        records = current_versions(reads)
        self.reads = reads
        self.as_of = as_of
        self.reference = reference
        self.calls = [call_of(record, reference, as_of) for record in records if record.received_at < as_of]
        self.missing = [(after, until) for after, until in missing_stretches(reads) if after < as_of]
        self.first = min((call.received_at for call in self.calls), default=as_of)
        self._cells: dict[str, list[Cell]] = {}

    def cells(self, grain: str) -> list[Cell]:
        """Every line and period, from that of the first call to the last that begins before as_of."""
        if grain not in self._cells:
            self._cells[grain] = list(self._cut(grain))
        return self._cells[grain]

    def _cut(self, grain: str) -> Iterator[Cell]:
        if not self.calls:
            return
        nothing = measures(())
        held: dict[tuple[datetime, str], list[Call]] = defaultdict(list)
        for call in self.calls:
            start = period_start(grain, call.received_at)
            held[start, call.line].append(call)
            held[start, "ALL"].append(call)
        for start, end in periods(grain, self.first, self.as_of):
            whole = self._is_complete(start, end)
            for line in LINES:
                calls = held.pop((start, line), ())
                yield Cell(grain, start, end, line, whole, calls, measures(calls) if calls else nothing)
        assert not held, "a call lies outside every period"

    def _is_complete(self, start: datetime, end: datetime) -> bool:
        """Whether no file is missing that tells of a period, from the quarter hour of the first call on."""
        return is_complete(max(start, period_start("15min", self.first)), end, self.missing)

    def annex_b_calls(self, grain: str) -> Iterator[Row]:
        """Rows of marts.annex_b_calls of one grain."""
        for cell in self.cells(grain):
            local = cell.start.astimezone(LONDON).replace(tzinfo=None)
            yield {
                **cell.key(),
                "period_end": cell.end,
                "period_start_local": local,
                "period_date": local.date(),
                "hour_of_day": local.hour,
                "is_complete": cell.is_complete,
                **cell.measures,
            }

    def service_level_variants(self, grain: str) -> Iterator[Row]:
        """Rows of marts.service_level_variants of one grain, but for the text of the formula."""
        for cell in self.cells(grain):
            for threshold in THRESHOLDS:
                for variant, (numerator, denominator) in service_levels(cell.measures, threshold).items():
                    yield {
                        **cell.key(),
                        "threshold_seconds": threshold,
                        "variant": variant,
                        "is_contract": variant == "F2",
                        "is_complete": cell.is_complete,
                        "numerator": numerator,
                        "denominator": denominator,
                        "service_level": _ratio(numerator, denominator),
                    }

    def annex_b_time_to_abandon(self, grain: str) -> Iterator[Row]:
        """Rows of marts.annex_b_time_to_abandon of one grain."""
        for cell in self.cells(grain):
            waits = _waits(cell.calls, "abandoned")
            for start, end in [*pairwise(BUCKET_EDGES), (BUCKET_EDGES[-1], None)]:
                yield {
                    **cell.key("line"),
                    "bucket_seconds_from": start,
                    "bucket_seconds_to": end,
                    "is_complete": cell.is_complete,
                    "bucket_label": f"{start} or more" if end is None else f"{start} to {end}",
                    "abandoned_calls": sum(
                        start * SECOND <= wait and (end is None or wait < end * SECOND) for wait in waits
                    ),
                }

    def annex_b_call_types(self, grain: str) -> Iterator[Row]:
        """Rows of marts.annex_b_call_types of one grain: only codes that an answered call of the cell has.

        A code is agreed in a cell when it was on the local date of every call of the cell that has it.
        """
        for cell in self.cells(grain):
            primary: Counter[str] = Counter()
            anywhere: Counter[str] = Counter()
            not_agreed: set[str] = set()
            for call in cell.calls:
                if call.is_test or call.primary_code is None:
                    continue
                day = call.received_at.astimezone(LONDON).date()
                codes = call.any_codes | {call.primary_code}
                primary[call.primary_code] += 1
                anywhere.update(codes)
                not_agreed.update(code for code in codes if not self.reference.is_agreed(code, day))
            for code in sorted(anywhere):
                yield {
                    **cell.key("line"),
                    "reason_code": code,
                    "is_agreed": code not in not_agreed,
                    "is_complete": cell.is_complete,
                    "calls_primary": primary[code],
                    "calls_any": anywhere[code],
                }

    def annex_b_repeat_callers(self, grain: str) -> Iterator[Row]:
        """Rows of marts.annex_b_repeat_callers of one grain."""
        if not self.calls:
            return
        calls = sorted(self.calls, key=lambda call: call.received_at)
        received = [call.received_at for call in calls]
        for start, end in spans(grain, received[0], self.as_of):
            counted = callers_by_line(calls[bisect_left(received, start) : bisect_left(received, end)])
            for line in LINES:
                often = Counter(counted[line])
                without_number = often.pop(None, 0)
                again = [times for times in often.values() if times > 1]
                yield {
                    "grain": grain,
                    "period_start": start,
                    "period_end": end,
                    "period_date": local_date(start),
                    "period_last_date": local_date(end) - timedelta(days=1),
                    "line": line,
                    "is_complete": self._is_complete(start, end),
                    "calls_with_number": often.total(),
                    "repeat_calls": sum(again),
                    "repeat_callers": len(again),
                    "callers": len(often),
                    "repeat_call_rate": _ratio(sum(again), often.total()),
                    "repeat_caller_rate": _ratio(len(again), len(often)),
                    "calls_without_number": without_number,
                }

    @cached_property
    def verdicts(self) -> dict[str, dict[int, Verdict]]:
        """What is known of each answered call."""
        return verdicts(self.calls, self.as_of)

    def annex_b_first_call_resolution(self, grain: str) -> Iterator[Row]:
        """Rows of marts.annex_b_first_call_resolution of one grain."""
        for cell in self.cells(grain):
            answered = [self.verdicts[call.call_id] for call in cell.calls if call.call_id in self.verdicts]
            for days in RESOLUTION_DAYS:
                found = Counter(verdict[days] for verdict in answered)
                judged = found[Verdict.RESOLVED] + found[Verdict.NOT_RESOLVED]
                yield {
                    **cell.key("line"),
                    "period_end": cell.end,
                    "period_date": local_date(cell.start),
                    "x_days": days,
                    "is_complete": cell.is_complete,
                    "answered_with_number": judged,
                    "resolved": found[Verdict.RESOLVED],
                    "fcr_rate": _ratio(found[Verdict.RESOLVED], judged),
                    "immature": found[Verdict.IMMATURE],
                    "answered_without_number": found[Verdict.WITHOUT_NUMBER],
                }

    def time_to_abandon_percentiles(self, grain: str) -> Iterator[Row]:
        """Rows of marts.time_to_abandon_percentiles of one grain: the shortest wait that enough waits are within."""
        for cell in self.cells(grain):
            waits = sorted(_waits(cell.calls, "abandoned"))
            for percentile in PERCENTILES:
                enough = (wait for n, wait in enumerate(waits, 1) if n * 100 >= percentile * len(waits))
                yield {
                    **cell.key("line"),
                    "percentile": percentile,
                    "is_complete": cell.is_complete,
                    "wait_seconds": Fraction(next(enough), SECOND) if waits else None,
                    "abandoned_calls": len(waits),
                }

    def rows(self, table: str) -> Iterator[Row]:
        """Every row of a table, at every grain that it has."""
        for grain in GRAINS_OF[table]:
            yield from getattr(self, table)(grain)


GRAINS_OF = {
    "annex_b_calls": GRAINS,
    "service_level_variants": VARIANT_GRAINS,
    "annex_b_time_to_abandon": ABANDON_GRAINS,
    "annex_b_call_types": GRAINS,
    "annex_b_repeat_callers": CALLER_GRAINS,
    "annex_b_first_call_resolution": GRAINS,
    "time_to_abandon_percentiles": ABANDON_GRAINS,
}
KEY_OF = {
    "annex_b_calls": ("grain", "period_start", "line_of_business"),
    "service_level_variants": ("grain", "period_start", "line_of_business", "threshold_seconds", "variant"),
    "annex_b_time_to_abandon": ("grain", "period_start", "line", "bucket_seconds_from"),
    "annex_b_call_types": ("grain", "period_start", "line", "reason_code"),
    "annex_b_repeat_callers": ("grain", "period_start", "line"),
    "annex_b_first_call_resolution": ("grain", "period_start", "line", "x_days"),
    "time_to_abandon_percentiles": ("grain", "period_start", "line", "percentile"),
}


def measures(everything: Sequence[Call]) -> Row:
    """Every Annex B measure over some calls, then the components that longer periods are summed from."""
    calls = [call for call in everything if not call.is_test]
    offered = [call for call in calls if call.ivr_outcome == "queued"]
    answered = [call for call in offered if call.outcome == "answered"]
    abandoned = [call for call in offered if call.outcome == "abandoned"]
    handled = [call for call in answered if call.is_handled]
    waits = _waits(calls, "answered")
    abandon_waits = _waits(calls, "abandoned")
    legs = [leg for call in calls for leg in call.handle]
    transfers = [transfer for call in calls for transfer in call.transfers]
    forced = sum(call.ivr_outcome == "forced_disconnect" for call in calls)
    ivr_abandoned = sum(call.ivr_outcome == "abandoned" for call in calls)
    at_skill = sum(call.abandoned_at_skill for call in answered)
    within = {threshold: _within(waits, threshold) for threshold in THRESHOLDS}
    handled_seconds = Fraction(sum(sum(call.handle) for call in handled), SECOND)
    handle_seconds = Fraction(sum(legs), SECOND)
    return {
        "calls_received": len(calls),
        "forced_disconnects": forced,
        "calls_offered": len(offered),
        "calls_retained_in_ivr": len(calls) - (forced + len(offered)),
        "ivr_self_served": sum(call.ivr_outcome == "self_served" for call in calls),
        "ivr_abandoned": ivr_abandoned,
        "calls_answered": len(answered),
        "answered_within_30s": within[30],
        "answered_within_70s": within[70],
        "abandoned_in_queue": len(abandoned),
        "abandoned_in_queue_short": _within(abandon_waits, SHORT_ABANDON_SECONDS),
        "abandoned_at_skill": at_skill,
        "abandoned_awaiting_transfer": sum(call.abandoned_awaiting_transfer for call in answered),
        "queue_flow_outs": sum(call.outcome == "flow_out" for call in offered),
        "forced_disconnects_in_queue": sum(call.outcome == "forced_disconnect" for call in offered),
        "open_calls": sum(call.outcome == "open" for call in offered),
        "ivr_abandon_rate": _ratio(ivr_abandoned, len(calls)),
        "queue_abandon_rate": _ratio(len(abandoned), len(offered)),
        "skill_abandon_rate": _ratio(at_skill, len(answered)),
        "gos_30": _ratio(within[30], len(answered)),
        "gos_70": _ratio(within[70], len(answered)),
        **_spread(waits, ""),
        **_spread(abandon_waits, "_abandoned"),
        **_spread([*waits, *abandon_waits], "_all"),
        "handle_seconds": handle_seconds,
        "handled_legs": len(legs),
        "aht_leg_seconds": _ratio(handle_seconds, len(legs)),
        "legs_wrap_pending": sum(call.legs_pending for call in calls),
        "handled_calls": len(handled),
        "aht_seconds": _ratio(handled_seconds, len(handled)),
        **_transfers(transfers, "2nd_line"),
        **_transfers(transfers, "csmt"),
        "excluded_test_calls": len(everything) - len(calls),
        "calls_without_caller_number": sum(call.caller is None for call in calls),
        "wait_seconds": Fraction(sum(waits), SECOND),
        "wait_seconds_abandoned": Fraction(sum(abandon_waits), SECOND),
        "waits_abandoned": len(abandon_waits),
        "handled_calls_seconds": handled_seconds,
        "abandoned_within_30s": _within(abandon_waits, 30),
        "abandoned_within_70s": _within(abandon_waits, 70),
    }


def service_levels(measured: Row, threshold: int) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of each published service level, for a threshold in seconds."""
    answered = measured["calls_answered"]
    answered_within = measured[f"answered_within_{threshold}s"]
    abandoned = measured["abandoned_in_queue"]
    abandoned_within = measured[f"abandoned_within_{threshold}s"]
    short = measured["abandoned_in_queue_short"]
    return {
        "F1": (answered_within + abandoned_within, answered + abandoned),
        "F2": (answered_within, answered),
        "F3": (answered_within, answered + abandoned),
        "F4": (answered_within, answered + abandoned - abandoned_within),
        "F5": (answered_within + short, answered + abandoned),
    }


def _waits(calls: Sequence[Call], outcome: str) -> list[int]:
    """Known waits, in microseconds, of the calls with an outcome. Test calls have none that count."""
    return [
        call.wait for call in calls if call.outcome == outcome and call.wait is not None and not call.is_test
    ]


def _within(waits: Sequence[int], seconds: int) -> int:
    return sum(wait <= seconds * SECOND for wait in waits)


def _ratio(numerator: int | Fraction, denominator: int) -> Fraction | None:
    return Fraction(numerator) / denominator if denominator else None


def _spread(waits: Sequence[int], suffix: str) -> Row:
    """Least, greatest and mean wait in seconds; none of them over nothing."""
    return {
        f"wait_min_seconds{suffix}": Fraction(min(waits), SECOND) if waits else None,
        f"wait_max_seconds{suffix}": Fraction(max(waits), SECOND) if waits else None,
        f"wait_avg_seconds{suffix}": Fraction(sum(waits), len(waits) * SECOND) if waits else None,
    }


def _transfers(transfers: Sequence[tuple[str, str | None]], target: str) -> Row:
    modes = [mode for to, mode in transfers if to == target]
    return {
        f"transfers_to_{target}": len(modes),
        f"transfers_to_{target}_warm": modes.count("warm"),
        f"transfers_to_{target}_cold": modes.count("cold"),
    }
