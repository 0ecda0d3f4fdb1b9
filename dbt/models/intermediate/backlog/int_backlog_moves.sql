{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['contact_id']}, {'columns': ['channel', 'occurred_at']}],
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
        age_hours,
        wip_change
    from {{ ref('int_backlog_moves_changed') }}

)

select * from final
