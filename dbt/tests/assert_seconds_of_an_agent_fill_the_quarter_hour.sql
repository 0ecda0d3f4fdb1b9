-- The states of an agent fill a quarter hour, neither more nor less, but for the one in which the first began and the one that as_of cuts.
with agents as (

    select
        interval_start,
        agent_id,
        sum(staffed_seconds + offline_seconds + unknown_seconds) as seconds
    from {{ ref('agent_intervals') }}
    where {{ written_by_this_build() }}
    group by interval_start, agent_id

),

final as (

    select
        agents.interval_start,
        agents.agent_id,
        agents.seconds,
        least({{ seconds_between('agents.interval_start', 'build.as_of') }}, 900) as seconds_passed
    from agents
    cross join {{ ref('stg_ops__builds') }} as build

)

select *
from final
where
    seconds > seconds_passed
    or (
        seconds < seconds_passed
        and exists (
            select 1
            from {{ ref('int_agent_states') }} as states
            where
                states.agent_id = final.agent_id
                and states.since <= final.interval_start
        )
    )
