-- Two paths to one figure: the calls of a day counted straight from fct_calls, and the day in annex_b_calls.
with days as (

    select *
    from {{ ref('annex_b_calls') }}
    where
        {{ written_by_this_build() }}
        and grain = 'day'
        and line_of_business = 'ALL'

),

counted as (

    select
        days.period_start,
        max(days.calls_received) as calls_received,
        max(days.excluded_test_calls) as excluded_test_calls,
        max(days.calls_answered) as calls_answered,
        sum(case when not calls.is_test then 1 else 0 end) as calls_counted,
        sum(case when calls.is_test then 1 else 0 end) as test_calls_counted,
        sum(case when not calls.is_test and calls.first_answered_at is not null then 1 else 0 end) as answered_counted
    from days
    left join {{ ref('fct_calls') }} as calls
        on
            days.period_start <= calls.received_at
            and days.period_end > calls.received_at
            and days.period_start <= calls.interval_start
            and days.period_end > calls.interval_start
    group by days.period_start

)

select *
from counted
where
    calls_received <> calls_counted
    or excluded_test_calls <> test_calls_counted
    or calls_answered <> answered_counted
