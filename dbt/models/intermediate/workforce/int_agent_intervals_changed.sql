{{ config(unlogged=true, indexes=[{'columns': ['interval_start'], 'unique': true}]) }}

-- Put together over all agents first: many of their stretches lie at the same time.
with stretches as (

    select
        'agent' as channel,
        begins,
        ends
    from {{ ref('int_agent_stretches_changed') }}

),

joined as (

    {{ joined_stretches('stretches', 'begins', 'ends', 'channel') | indent(4) }}

),

moved as (

    select
        joined.channel,
        spine.interval_start
    from joined
    cross join lateral {{ quarter_hours('joined.begins', 'joined.ends') }} as spine (interval_start)

),

firsts as (

    select
        'agent' as channel,
        min(states.since) as first_at
    from {{ ref('int_agent_states') }} as states
    where states.since < (select builds.as_of from {{ ref('stg_ops__builds') }} as builds)

),

{{ dense_intervals_changed([('agent', 'agent_state', 'agent_occupancy')], 'firsts', 'moved') }}

select
    interval_start,
    spine_start
from final
