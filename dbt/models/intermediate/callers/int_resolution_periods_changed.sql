{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with intervals as (

    select
        interval_start,
        spine_start
    from {{ ref('int_resolution_intervals_changed') }}

),

{{ periods_holding('intervals', 'telephony_call') }}

select * from final
