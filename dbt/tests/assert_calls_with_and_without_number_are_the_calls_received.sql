-- calls_with_number + calls_without_number of a period = the calls received on its days; and a caller who called more than once called twice.
with written as (

    select *
    from {{ ref('annex_b_repeat_callers') }}
    where {{ written_by_this_build() }}

),

days as (

    select
        period_date,
        line_of_business,
        calls_received
    from {{ ref('annex_b_calls') }}
    where
        grain = 'day'
        and period_start >= (select min(written.period_start) from written)

)

select
    written.grain,
    written.period_start,
    written.line,
    max(written.calls_with_number) as calls_with_number,
    max(written.calls_without_number) as calls_without_number,
    sum(days.calls_received) as calls_received
from written
left join days
    on
        written.period_date <= days.period_date
        and written.period_last_date >= days.period_date
        and written.line = days.line_of_business
group by written.grain, written.period_start, written.line
having
    max(written.calls_with_number + written.calls_without_number) is distinct from sum(days.calls_received)
    or max(written.repeat_calls) < 2 * max(written.repeat_callers)
    or max(written.calls_with_number - written.repeat_calls) <> max(written.callers - written.repeat_callers)
