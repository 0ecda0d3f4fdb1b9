-- On a day the total row holds each agent on duty once, whatever number of lines the agent served.
with days as (

    select *
    from {{ ref('agent_occupancy') }}
    where
        {{ written_by_this_build() }}
        and grain = 'day'
        and line_of_business = 'ALL'

),

final as (

    select
        days.period_start,
        days.agents,
        days.staffed_seconds,
        count(distinct intervals.agent_id) as agents_there,
        coalesce(sum(intervals.staffed_seconds), 0) as seconds_there
    from days
    left join {{ ref('agent_intervals') }} as intervals
        on
            days.period_start <= intervals.interval_start
            and days.period_end > intervals.interval_start
            and intervals.staffed_seconds > 0
    group by days.period_start, days.agents, days.staffed_seconds

)

select *
from final
where
    agents <> agents_there
    or staffed_seconds <> seconds_there
