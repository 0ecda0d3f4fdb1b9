{{ config(materialized='view') }}

with figures as (

    select * from {{ ref('figures_as_of') }}

),

states_in_order as (

    select
        states.*,
        -- Of two states entered at one instant the one with the greater event_id counts.
        row_number() over (partition by states.agent_id, states.since order by states.event_id desc) as place
    from {{ ref('int_agent_states') }} as states
    cross join figures
    where states.since < figures.as_of

),

stays as (

    select
        event_id,
        agent_id,
        state,
        lines_of_business,
        since,
        {{ end_of_longest_shift('since') }} as counted_until,
        lead(since) over (partition by agent_id order by since) as known_again_at
    from states_in_order
    where place = 1

),

final as (

    select
        'no_event_for_longer_than_a_shift' as finding,
        stays.agent_id,
        stays.event_id,
        stays.state,
        stays.lines_of_business,
        stays.since,
        stays.counted_until,
        stays.known_again_at
    from stays
    cross join figures
    where
        stays.state <> 'offline'
        and stays.counted_until < coalesce(stays.known_again_at, figures.as_of)

)

select * from final
