{{ config(unlogged=true, indexes=[{'columns': ['channel', 'interval_start'], 'unique': true}]) }}

{%- set channels = [
    ('voice', ref('stg_telephony__call_versions'), 'call_id', 'received_at'),
    ('webchat', ref('stg_webchat__session_versions'), 'chat_id', 'started_at'),
    ('email', ref('stg_email__message_versions'), 'message_id', 'received_at'),
    ('text', ref('stg_text__message_versions'), 'message_id', 'sent_at'),
    ('callback', ref('stg_telephony__callback_event_versions'), 'callback_id', 'occurred_at'),
] %}

with changed as (

    {% for channel, versions, key, began_at in channels -%}
    -- Wherever any version of a changed contact lies: where it counts now, and where it counted before.
    select distinct
        '{{ channel }}' as channel,
        {{ interval_of('versions.began_at') }} as interval_start
    from {{ ref('int_contact_ids_changed') }} as contacts
    cross join lateral (
        select of_contact.{{ began_at }} as began_at
        from {{ versions }} as of_contact
        where of_contact.{{ key }} = contacts.source_id
    ) as versions
    where
        contacts.channel = '{{ channel }}'
        {%- if is_full_build() %}
        -- Every quarter hour is written anew in any case.
        and false
        {%- endif %}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
        channel,
        interval_start
    from changed

)

select * from final
