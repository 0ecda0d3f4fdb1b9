{{ config(unlogged=true, indexes=[{'columns': ['channel', 'grain', 'period_start'], 'unique': true}]) }}

with intervals as (

    select * from {{ ref('int_volume_intervals_changed') }}

),

{{ periods_holding('intervals') }}

select * from final
