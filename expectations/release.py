"""The release gate: what must hold for the figures of a build before they leave the warehouse.

dbt has tested the models one by one. The gate looks at what a reader of the feeds would notice: columns that
are not those promised, totals that do not add up, figures that are old or impossible. The relation `batch` is
the aggregate feed.
"""

# ruff: noqa: S608  # the queries are made of texts of ours

from __future__ import annotations

from typing import Any

import yaml

from expectations.checks import Check
from infra.settings import CHECKOUT

_CONTRACTS = CHECKOUT / "dbt" / "models" / "feeds" / "_feeds__models.yml"
FEED = "feed_annex_b_calls_v1"

_PERIOD = "grain || ' from ' || to_char(period_start at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI')"
_KEY = f"{_PERIOD} || ', line ' || coalesce(line_of_business, '?')"
_SUMS = ("handle_seconds", "wait_seconds", "wait_seconds_abandoned", "handled_calls_seconds")
_IDENTITIES = {
    "calls_received": "ivr_self_served + ivr_abandoned + forced_disconnects + calls_offered",
    "calls_retained_in_ivr": "ivr_self_served + ivr_abandoned",
    "calls_offered": "calls_answered + abandoned_in_queue + queue_flow_outs + forced_disconnects_in_queue + open_calls",
}
_RATES = ("ivr_abandon_rate", "queue_abandon_rate", "skill_abandon_rate", "gos_30", "gos_70")


def release_checks(build_id: int) -> list[Check]:
    """The checks of one build, in the order in which a reader wants to hear of them."""
    counts = [name for name, kind in _columns(FEED).items() if kind == "bigint" and name != "build_id"]
    return [
        Check(
            "schema",
            "The feeds have exactly the columns of their contracts.",
            f"""
            select
                coalesce(expected.feed, actual.feed) || '.' || coalesce(expected.name, actual.name) || ' should be '
                || coalesce(expected.type, 'absent') || ' and is ' || coalesce(actual.type, 'missing') as detail
            from (
                select feed, name, expected.type::regtype::text as type
                from (values {_all_columns()}) as expected (feed, name, type)
            ) as expected
            full join (
                select relname::text as feed, attname::text as name, format_type(atttypid, null) as type
                from pg_attribute
                inner join pg_class on pg_class.oid = attrelid
                where relnamespace = to_regnamespace('feeds') and attnum > 0 and not attisdropped
                    and relname in ({", ".join(f"'{feed}'" for feed in _contracts())})
            ) as actual on actual.feed = expected.feed and actual.name = expected.name
            where actual.type is distinct from expected.type
            """,
        ),
        Check(
            "volume",
            "There are figures if there are calls.",
            """
            select 'the feed of figures is empty' as detail
            where not exists (select from batch) and exists (select from marts.fct_calls where not is_test)
            """,
        ),
        Check(
            "volume",
            "Every call counts once in each grain.",
            """
            with totals as (
                select grain, sum(calls_received) as calls from batch where line_of_business = 'ALL' group by grain
            ),
            there as (select count(*) as calls from marts.fct_calls where not is_test)
            select totals.grain || ' has ' || totals.calls || ' calls received, and there are ' || there.calls as detail
            from totals cross join there where totals.calls <> there.calls
            """,
        ),
        Check(
            "volume",
            "The line ALL is the sum of the lines.",
            f"""
            select {_PERIOD} as detail from batch group by grain, period_start
            having {" or ".join(_does_not_add_up(name) for name in (*counts, *_SUMS))}
            """,
        ),
        Check(
            "volume",
            "Calls received, retained and offered are the sums of what became of them.",
            f"""
            select {_KEY} as detail from batch
            where {" or ".join(f"{whole} <> {parts}" for whole, parts in _IDENTITIES.items())}
            """,
        ),
        Check(
            "volume",
            "There is one row for each grain, period and line.",
            f"""
            select {_KEY} || ' has ' || count(*) || ' rows' as detail
            from batch group by grain, period_start, line_of_business having count(*) > 1
            """,
        ),
        Check(
            "volume",
            "Every file that the build has taken in came through the raw gate.",
            f"""
            select files.name || ' of batch ' || files.batch_id as detail
            from ops.build_files as taken
            inner join ops.files as files using (file_id)
            where taken.build_id <= {build_id} and not exists (
                select from ops.gate_results as gate
                where gate.gate = 'raw' and gate.success and gate.batch_id = files.batch_id
                    and gate.checked_at >= files.finished_at
            )
            """,
        ),
        Check(
            "freshness",
            "The figures stand at an instant no earlier than a day before the newest file that they are made of.",
            f"""
            select
                'the figures stand at ' || builds.as_of || ', and ' || newest.name || ' was sent at '
                || newest.file_stamp as detail
            from ops.builds as builds
            cross join {_newest_file(build_id)} as newest
            where builds.build_id = {build_id} and builds.as_of < newest.file_stamp - interval '1 day'
            """,
        ),
        Check(
            "freshness",
            "The newest file is less than a day old.",
            f"""
            select
                newest.name || ' was sent at ' || newest.file_stamp || ', and the figures stand at '
                || builds.as_of as detail
            from ops.builds as builds
            cross join {_newest_file(build_id)} as newest
            where builds.build_id = {build_id} and builds.as_of > newest.file_stamp + interval '1 day'
            """,
            severity="warning",
        ),
        Check(
            "missingness",
            "No key and no count is empty.",
            f"""
            select coalesce({_KEY}, 'a row without a grain or period') as detail from batch
            where num_nulls(grain, period_start, line_of_business, local_date, is_complete, build_id) > 0
                or num_nulls({", ".join(counts)}) > 0
            """,
        ),
        Check(
            "missingness",
            "Every period is complete.",
            f"select {_KEY} as detail from batch where not is_complete and grain = 'day' and line_of_business = 'ALL'",
            severity="warning",
        ),
        Check(
            "distribution",
            "Rates lie between 0 and 1, and no count or duration is negative.",
            f"""
            select {_KEY} as detail from batch
            where {" or ".join(f"{name} not between 0 and 1" for name in _RATES)}
                or least({", ".join((*counts, *_SUMS, "wait_min_seconds", "wait_min_seconds_abandoned"))}) < 0
            """,
        ),
        Check(
            "distribution",
            "Averages lie between the shortest and the longest.",
            f"""
            select {_KEY} as detail from batch
            where wait_avg_seconds not between wait_min_seconds and wait_max_seconds
                or wait_avg_seconds_abandoned not between wait_min_seconds_abandoned and wait_max_seconds_abandoned
                or wait_avg_seconds_all not between wait_min_seconds_all and wait_max_seconds_all
            """,
        ),
        Check(
            "distribution",
            "At most one call in a hundred is made to a number of no line of business.",
            """
            select unmapped || ' of ' || total || ' calls' as detail
            from (
                select
                    sum(calls_received) filter (where line_of_business = 'UNMAPPED') as unmapped,
                    sum(calls_received) filter (where line_of_business = 'ALL') as total
                from batch
                where grain = 'year'
            ) as calls
            where unmapped > 0.01 * total
            """,
            severity="warning",
        ),
    ]


def _does_not_add_up(name: str) -> str:
    return (
        f"sum({name}) filter (where line_of_business = 'ALL') "
        f"is distinct from sum({name}) filter (where line_of_business <> 'ALL')"
    )


def _newest_file(build_id: int) -> str:
    return f"""(
        select files.name, files.file_stamp
        from ops.build_files as taken
        inner join ops.files as files using (file_id)
        where taken.build_id <= {build_id} and files.file_stamp is not null
        order by files.file_stamp desc
        limit 1
    )"""


def _contracts() -> dict[str, Any]:
    models = yaml.safe_load(_CONTRACTS.read_text(encoding="utf-8"))["models"]
    return {model["name"]: model for model in models}


def _columns(feed: str) -> dict[str, str]:
    return {column["name"]: column["data_type"] for column in _contracts()[feed]["columns"]}


def _all_columns() -> str:
    return ", ".join(
        f"('{feed}', '{name}', '{kind}')" for feed in _contracts() for name, kind in _columns(feed).items()
    )
