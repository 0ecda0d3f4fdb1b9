-- answered_with_number + immature + answered_without_number = calls_answered, for every x_days; and no more calls are resolved than judged.
with written as (

    select *
    from {{ ref('annex_b_first_call_resolution') }}
    where {{ written_by_this_build() }}

)

select
    written.grain,
    written.period_start,
    written.line,
    written.x_days,
    written.answered_with_number,
    written.resolved,
    written.immature,
    written.answered_without_number,
    calls.calls_answered
from written
left join {{ ref('annex_b_calls') }} as calls
    on
        written.grain = calls.grain
        and written.period_start = calls.period_start
        and written.line = calls.line_of_business
where
    written.resolved > written.answered_with_number
    or calls.calls_answered is distinct from written.answered_with_number + written.immature + written.answered_without_number
