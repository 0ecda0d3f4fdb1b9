{{ config(unlogged=true, indexes=[{'columns': ['contact_id']}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

contacts as (

    select
        contacts.*,
        case
            when contacts.outcome in ('cancelled', 'expired') then contacts.outcome
            when
                contacts.channel = 'email' and (contacts.answered_at is null or contacts.ended_at < contacts.answered_at)
                then 'transferred'
        end as resolution
    from {{ ref('fct_contacts') }} as contacts
    where
        contacts.channel in ('callback', 'email')
        and contacts.direction = case contacts.channel when 'email' then 'inbound' else 'outbound' end
        {%- if not is_full_build() %}
        and contacts.contact_id in (select changed.contact_id from {{ ref('int_contact_ids_changed') }} as changed)
        {%- endif %}

),

callback_events as (

    {{ current_callback_events(
        is_full_build(), ref('stg_telephony__callback_events'), ref('stg_telephony__callback_event_versions')
    ) }}

),

final as (

    select
        contact_id,
        channel,
        line_of_business,
        case channel when 'email' then 'received' else 'generated' end as event,
        queued_at as occurred_at,
        null::integer as age_hours,
        1 as wip_change
    from contacts
    where queued_at is not null

    union all

    -- Work that is completed counts by its own time, even when a cancellation came first.
    select
        contact_id,
        channel,
        line_of_business,
        case channel when 'email' then 'replied' else 'connected' end as event,
        answered_at as occurred_at,
        -- Answered before it was asked for, by a clock that was wrong: it has no age.
        case when answered_at >= queued_at then {{ whole_hours_between('queued_at', 'answered_at') }} end as age_hours,
        0 as wip_change
    from contacts
    where answered_at is not null

    union all

    select
        contact_id,
        channel,
        line_of_business,
        resolution as event,
        ended_at as occurred_at,
        null::integer as age_hours,
        0 as wip_change
    from contacts
    where
        resolution is not null
        and ended_at is not null
        -- Of what nobody asked for, attempts and connections alone count.
        and queued_at is not null

    union all

    -- What was resolved before it was asked for comes and goes at one instant.
    select
        contact_id,
        channel,
        line_of_business,
        'left' as event,
        greatest(queued_at, ended_at) as occurred_at,
        null::integer as age_hours,
        -1 as wip_change
    from contacts
    where
        queued_at is not null
        and ended_at is not null

    {%- for channel, _, _ in backlog_channels() %}

    union all

    -- What falls due, each by that time, and what of it was answered before.
    select
        contacts.contact_id,
        contacts.channel,
        contacts.line_of_business,
        events.event,
        {{ falls_due_at('contacts', channel) }} as occurred_at,
        null::integer as age_hours,
        0 as wip_change
    from contacts
    cross join (values ('due', false), ('in_time', true)) as events (event, is_in_time)
    where
        contacts.channel = '{{ channel }}'
        and {{ why_never_due('contacts', channel) | indent(8) }} is null
        and ({{ is_answered_in_time('contacts', channel) }} or not events.is_in_time)
    {%- endfor %}

    union all

    select
        contacts.contact_id,
        contacts.channel,
        contacts.line_of_business,
        'attempts' as event,
        callback_events.occurred_at,
        null::integer as age_hours,
        0 as wip_change
    from callback_events
    cross join build
    inner join contacts
        on
            callback_events.callback_id = contacts.source_id
            and contacts.channel = 'callback'
    where
        callback_events.event = 'attempted'
        and callback_events.occurred_at <= build.as_of

)

select * from final
