-- Percentiles are over all calls abandoned in queue with a known wait, lie between the shortest and the longest, and rise.
with written as (

    select
        *,
        lag(wait_seconds) over (partition by grain, period_start, line order by percentile) as wait_before
    from {{ ref('time_to_abandon_percentiles') }}
    where {{ written_by_this_build() }}

)

select
    written.grain,
    written.period_start,
    written.line,
    written.percentile,
    written.wait_seconds,
    written.abandoned_calls,
    calls.waits_abandoned
from written
left join {{ ref('annex_b_calls') }} as calls
    on
        written.grain = calls.grain
        and written.period_start = calls.period_start
        and written.line = calls.line_of_business
where
    calls.waits_abandoned is distinct from written.abandoned_calls
    or (written.wait_seconds is null) <> (written.abandoned_calls = 0)
    or written.wait_seconds < calls.wait_min_seconds_abandoned
    or written.wait_seconds > calls.wait_max_seconds_abandoned
    or written.wait_seconds < written.wait_before
