{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

-- Put together over all agents first: a full build has as many stretches as there are agents, each of them as long as history.
with stretches as (

    select
        true as is_of_any_agent,
        begins,
        ends
    from {{ ref('int_agent_stretches_changed') }}

),

joined as (

    {{ joined_stretches('stretches', 'begins', 'ends', 'is_of_any_agent') | indent(4) }}

),

intervals as (

    select
        spine.interval_start,
        spine.interval_start as spine_start
    from joined
    cross join lateral {{ quarter_hours('joined.begins', 'joined.ends') }} as spine (interval_start)

),

{{ periods_holding('intervals', 'agent_state') }}

select * from final
