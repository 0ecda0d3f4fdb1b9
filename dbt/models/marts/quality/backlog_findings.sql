{{ config(materialized='view') }}

with contacts as (

    select * from {{ ref('fct_contacts') }}
    where channel in ('callback', 'email')

),

findings as (

    select
        'never_requested' as finding,
        contacts.*
    from contacts
    where
        channel = 'callback'
        and queued_at is null

    union all

    select
        'resolved_before_it_began' as finding,
        contacts.*
    from contacts
    where ended_at < queued_at

    union all

    select
        'completed_after_resolution' as finding,
        contacts.*
    from contacts
    where
        answered_at > ended_at
        and direction = case channel when 'email' then 'inbound' else 'outbound' end

    union all

    select
        'transferred_at_an_unknown_time' as finding,
        contacts.*
    from contacts
    where
        channel = 'email'
        and outcome = 'transferred'
        and ended_at is null

),

final as (

    select
        finding,
        contact_id,
        channel,
        line_of_business,
        received_at,
        queued_at,
        answered_at,
        ended_at,
        outcome,
        _file_id,
        _line_number
    from findings

)

select * from final
