{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with intervals as (

    select distinct
        spine.interval_start,
        spine.interval_start as spine_start
    from {{ ref('int_agent_stretches_changed') }} as stretches
    cross join lateral {{ quarter_hours('stretches.begins', 'stretches.ends') }} as spine (interval_start)

),

{{ periods_holding('intervals', 'agent_state') }}

select * from final
