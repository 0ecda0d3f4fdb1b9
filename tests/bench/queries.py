"""How long the questions of a dashboard, and an explanation, take with a year of calls behind them.

Each query has the shape of one that a chart sends: a few columns of one mart, over the whole year or a month of it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from analysis.explain import explain
from analysis.periods import read_period
from infra.postgres import connect
from infra.settings import Settings

_RUNS = 20

_QUERIES = {
    "volumes by day": "select period_date, line_of_business, sum(calls_received), sum(calls_offered),"
    " sum(calls_answered) "
    "from marts.annex_b_calls where grain = 'day' and line_of_business <> 'ALL' group by 1, 2",
    "grade of service by hour of day": "select hour_of_day, sum(answered_within_30s)::numeric /"
    " nullif(sum(calls_answered), 0) "
    "from marts.annex_b_calls where grain = 'hour' and line_of_business = 'ALL' group by 1",
    "waits by quarter hour, last month": "select period_start, wait_max_seconds, wait_avg_seconds from"
    " marts.annex_b_calls "
    "where grain = '15min' and line_of_business = 'PAL' and period_date >= %(month)s",
    "call types by month": "select period_start, reason_code, sum(calls_primary) from marts.annex_b_call_types "
    "where grain = 'month' and line = 'ALL' group by 1, 2",
    "time to abandon by week": "select bucket_label, sum(abandoned_calls) from marts.annex_b_time_to_abandon "
    "where grain = 'week' and line = 'ALL' group by 1",
    "service-level variants by month": "select period_start, variant, numerator, denominator from"
    " marts.service_level_variants "
    "where grain = 'month' and line_of_business = 'ALL' and threshold_seconds = 30",
    "repeat callers, rolling 28 days": "select period_last_date, repeat_call_rate from marts.annex_b_repeat_callers "
    "where grain = 'rolling_28d' and line = 'ALL'",
    "first call resolution by week": "select period_start, x_days, fcr_rate from marts.annex_b_first_call_resolution "
    "where grain = 'week' and line = 'ALL'",
    "KPIs by month": "select * from marts.kpi_results where grain = 'month'",
    "one KPI by day": "select * from marts.kpi_results where kpi_code = 'GOS_30' and grain = 'day' and"
    " line_of_business = 'ALL'",
    "restatements": "select * from marts.kpi_restatements",
    "callers waiting at an instant": "select * from marts.queue_at(%(instant)s)",
    "call-backs waiting at an instant": "select * from marts.callback_wip_at(%(instant)s)",
}


@dataclass(frozen=True)
class QueryBench:
    """Seconds that one question took: the middle, and the 95th percentile."""

    question: str
    runs: int
    median_seconds: float
    p95_seconds: float

    def as_text(self) -> str:
        """The result in plain English."""
        return (
            f"{self.question}: median {self.median_seconds * 1000:,.0f} ms, 95th percentile "
            f"{self.p95_seconds * 1000:,.0f} ms ({self.runs} runs)."
        )


def bench_queries(settings: Settings, last_day: date) -> Iterator[QueryBench]:
    """Measure.

    Args:
        settings: An instance whose marts hold a year of calls.
        last_day: Last local day of the calls.
    """
    month = last_day.replace(day=1)
    parameters = {"month": month, "instant": f"{last_day - timedelta(days=40)} 10:30:00+00"}
    with connect(settings) as connection:
        for question, statement in _QUERIES.items():
            ask = statement.encode()
            yield _timed(question, lambda ask=ask: connection.execute(ask, parameters).fetchall())  # type: ignore[misc]
    period = read_period(f"{month - timedelta(days=1):%Y-%m}")
    for code in ("GOS_30", "AHT", "FCR_7", "REPEAT_CALLS"):
        yield _timed(
            f"explain {code}, ALL, {period.written}",
            lambda code=code: explain(settings, code, "ALL", period),  # type: ignore[misc]
            runs=5,
        )


def _timed(question: str, ask: Callable[[], object], runs: int = _RUNS) -> QueryBench:
    ask()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    return QueryBench(question, runs, statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1])
