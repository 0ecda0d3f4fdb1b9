{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with intervals as (

    select * from {{ ref('int_agent_intervals_changed') }}

),

{{ periods_holding('intervals', 'agent_state') }}

select * from final
