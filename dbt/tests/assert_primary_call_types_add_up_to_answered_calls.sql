-- Every answered call has one primary code, UNCODED included: nothing is dropped from the call types.
with written as (

    select *
    from {{ ref('annex_b_calls') }}
    where {{ written_by_this_build() }}

),

types as (

    select
        grain,
        period_start,
        line,
        sum(calls_primary) as calls_primary
    from {{ ref('annex_b_call_types') }}
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
    written.calls_answered,
    types.calls_primary
from written
left join types
    on
        written.grain = types.grain
        and written.period_start = types.period_start
        and written.line_of_business = types.line
where written.calls_answered <> coalesce(types.calls_primary, 0)
