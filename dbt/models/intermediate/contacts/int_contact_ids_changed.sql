{{ config(unlogged=true, indexes=[{'columns': ['contact_id'], 'unique': true}, {'columns': ['channel', 'source_id']}]) }}

{%- set channels = [
    ('webchat', ref('stg_webchat__session_versions'), 'chat_id', 'started_at', 'webchat_session'),
    ('email', ref('stg_email__message_versions'), 'message_id', 'received_at', 'email_message'),
    ('text', ref('stg_text__message_versions'), 'message_id', 'sent_at', 'text_message'),
] -%}

{%- if is_full_build() %}

with changed as (

    select
        'voice' as channel,
        calls.call_id as source_id
    from {{ ref('int_call_ids_changed') }} as calls

    {% for channel, versions, key, _, _ in channels -%}
    union all

    select distinct
        '{{ channel }}' as channel,
        versions.{{ key }} as source_id
    from {{ versions }} as versions

    {% endfor -%}
    union all

    select distinct
        'callback' as channel,
        events.callback_id as source_id
    from {{ ref('stg_telephony__callback_event_versions') }} as events

),

{%- else %}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

new_files as (

    select * from {{ ref('int_files_new') }}

),

touches as (

    select
        touches.interface,
        touches.record_key
    from {{ ref('stg_ops__record_touches') }} as touches
    inner join new_files on touches.file_id = new_files.file_id

),

events_changed as (

    select events.event_id
    from {{ ref('stg_telephony__callback_event_versions') }} as events
    inner join new_files on events._file_id = new_files.file_id

    union

    select touches.record_key as event_id
    from touches
    where touches.interface = 'callback_event'

    union

    select events.event_id
    from {{ ref('stg_telephony__callback_event_versions') }} as events
    where events.occurred_at >= (select build.previous_as_of from build)

),

complaints_changed as (

    select complaints.complaint_id
    from {{ ref('stg_complaints__complaint_versions') }} as complaints
    inner join new_files on complaints._file_id = new_files.file_id

    union

    select touches.record_key as complaint_id
    from touches
    where touches.interface = 'complaint'

    union

    select complaints.complaint_id
    from {{ ref('stg_complaints__complaint_versions') }} as complaints
    where complaints.received_at >= (select build.previous_as_of from build)

),

complained_of as (

    -- By any content of the complaint: what it refers to now, and what it referred to before.
    select distinct complaints.contact_id as source_id
    from complaints_changed
    cross join lateral (
        select versions.contact_id
        from {{ ref('stg_complaints__complaint_versions') }} as versions
        where versions.complaint_id = complaints_changed.complaint_id
    ) as complaints
    where complaints.contact_id is not null

),

changed as (

    select
        'voice' as channel,
        calls.call_id as source_id
    from {{ ref('int_call_ids_changed') }} as calls

    {% for channel, versions, key, received_at, interface in channels -%}
    union

    select
        '{{ channel }}' as channel,
        versions.{{ key }} as source_id
    from {{ versions }} as versions
    inner join new_files on versions._file_id = new_files.file_id

    union

    select
        '{{ channel }}' as channel,
        touches.record_key as source_id
    from touches
    where touches.interface = '{{ interface }}'

    union

    -- Known already, but not yet received when the last build looked.
    select
        '{{ channel }}' as channel,
        versions.{{ key }} as source_id
    from {{ versions }} as versions
    where versions.{{ received_at }} >= (select build.previous_as_of from build)

    {% endfor -%}
    union

    -- By any content of the event: the call-back that it belongs to now, and the one that it belonged to before.
    select
        'callback' as channel,
        events.callback_id as source_id
    from events_changed
    cross join lateral (
        select versions.callback_id
        from {{ ref('stg_telephony__callback_event_versions') }} as versions
        where versions.event_id = events_changed.event_id
    ) as events

    union

    -- Something in the contact lay ahead of the last build and may have happened since.
    select
        contacts.channel,
        contacts.source_id
    from {{ source('last_build', 'fct_contacts') }} as contacts
    where contacts.last_event_at > (select build.previous_as_of from build)

    union

    select
        contacts.channel,
        contacts.source_id
    from {{ source('last_build', 'fct_contacts') }} as contacts
    -- By whole key, whatever the channel: of a key on its own platform there is no index.
    where contacts.contact_id in (
        {% for channel in ['voice', 'webchat', 'email', 'text', 'callback'] -%}
        select {{ contact_id(channel, 'complained_of.source_id') }} from complained_of
        {{ "union all" if not loop.last }}
        {% endfor %}
    )

),

{%- endif %}

final as (

    select
        changed.channel || ':' || changed.source_id as contact_id,
        changed.channel,
        changed.source_id
    from changed

)

select * from final
