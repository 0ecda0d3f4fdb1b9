"""Freezes the KPI values that are reported, so that a figure which changes afterwards is seen to have changed.

Called whenever a feed or a pack is issued. Only a period that is over and settled is reported; a value is written
again only when it is another one than was reported last. This module computes no figure: it copies rows of
`marts.kpi_results`, and nothing ever changes what it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from delivery.feeds.release import released_build
from infra.postgres import connect
from infra.settings import Settings

Occasion = Literal["feed", "pack"]

_LOCK = 7_205_005  # any fixed number: one freeze at a time per warehouse


@dataclass(frozen=True)
class Frozen:
    """What one issue reported.

    Attributes:
        first: Values reported for the first time.
        again: Values that differ from what was reported before.
    """

    first: int
    again: int

    def as_text(self) -> str:
        """One sentence for people."""
        if not self.first and not self.again:
            return "KPIs: nothing new was reported."
        return (
            f"KPIs: {self.first:,} values reported for the first time, {self.again:,} reported anew because they "
            "changed (marts.kpi_restatements)."
        )


def freeze(settings: Settings, occasion: Occasion) -> Frozen:
    """Write down the KPI values of the released build that have not been reported as they are.

    Safe to kill and to run again: one transaction, and a value that stands is not written twice.

    Args:
        settings: The instance.
        occasion: What is being issued.

    Returns:
        How many values were written.

    Raises:
        ReleaseRefusedError: The last build has not passed the release gate.
    """
    with connect(settings) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        build_id = released_build(connection)
        report = connection.execute(
            "insert into ops.kpi_reports (occasion, build_id, as_of) "
            "select %s, build_id, as_of from ops.builds where build_id = %s returning report_id",
            (occasion, build_id),
        ).fetchone()
        assert report is not None  # noqa: S101  # the released build is there
        row = connection.execute(_WRITE, {"report": report[0], "build": build_id}).fetchone()
        frozen = Frozen(*(row or (0, 0)))
        if frozen == Frozen(0, 0):
            connection.rollback()  # an issue that reports nothing new leaves no row
        return frozen


# A row that a later, unreleased build has written waits for its release.
_WRITE = """
with last_reported as (
    select distinct on (kpi_code, grain, period_start, line_of_business) *
    from ops.kpi_reported
    order by kpi_code, grain, period_start, line_of_business, report_id desc
),
results as materialized (
    select * from marts.kpi_results where is_final and _build_id <= %(build)s
),
written as (
    insert into ops.kpi_reported (
        kpi_code, grain, period_start, line_of_business, report_id, numerator, denominator, value, target, threshold,
        status, service_credit_points, rule_version
    )
    select
        results.kpi_code, results.grain, results.period_start, results.line_of_business, %(report)s,
        results.numerator, results.denominator, results.value, results.target, results.threshold, results.status,
        results.service_credit_points, results.rule_version
    from results
    left join last_reported as last
        on last.kpi_code = results.kpi_code
        and last.grain = results.grain
        and last.period_start = results.period_start
        and last.line_of_business = results.line_of_business
    where
        last.report_id is null
        or row(last.numerator, last.denominator, last.status, last.service_credit_points)
            is distinct from row(results.numerator, results.denominator, results.status, results.service_credit_points)
    returning kpi_code, grain, period_start, line_of_business
)
select
    count(*) filter (where last.report_id is null),
    count(*) filter (where last.report_id is not null)
from written
left join last_reported as last using (kpi_code, grain, period_start, line_of_business)
"""
