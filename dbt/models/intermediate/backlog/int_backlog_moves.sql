{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[
        {'columns': ['contact_id']},
        {'columns': ['channel', 'interval_start']},
        {'columns': ['channel', 'day_start']},
    ],
    pre_hook="{{ replace_changed('contact_id', ref('int_contact_ids_changed')) }}",
) }}
-- depends_on: {{ ref('int_backlog_intervals_moved') }}

with final as (

    select
        contact_id,
        channel,
        line_of_business,
        event,
        occurred_at,
        {{ interval_of('occurred_at') }} as interval_start,
        {{ instant_of_local(local_date('occurred_at') ~ '::timestamp') }} as day_start,
        age_hours,
        wip_change
    from {{ ref('int_backlog_moves_changed') }}

)

select * from final
