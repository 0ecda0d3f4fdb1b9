-- Every call abandoned in queue with a known wait lies in exactly one bucket.
with written as (

    select *
    from {{ ref('annex_b_calls') }}
    where
        {{ written_by_this_build() }}
        and grain in ('day', 'week', 'month')

),

buckets as (

    select
        grain,
        period_start,
        line,
        sum(abandoned_calls) as abandoned_calls
    from {{ ref('annex_b_time_to_abandon') }}
    where
        (grain, period_start) in (
            select
                written.grain,
                written.period_start
            from written
        )
    group by grain, period_start, line

)

select
    written.grain,
    written.period_start,
    written.line_of_business,
    written.waits_abandoned,
    buckets.abandoned_calls
from written
left join buckets
    on
        written.grain = buckets.grain
        and written.period_start = buckets.period_start
        and written.line_of_business = buckets.line
where written.waits_abandoned is distinct from buckets.abandoned_calls
