-- Of every record that this build looked at and that began before as_of there is one contact, and of no other.
with build as (

    select * from {{ ref('stg_ops__builds') }}

),

{%- set channels = [
    ('voice', ref('stg_telephony__calls'), ref('stg_telephony__call_versions'), 'call_id', 'received_at', 'record'),
    ('webchat', ref('stg_webchat__sessions'), ref('stg_webchat__session_versions'), 'chat_id', 'started_at', 'record'),
    ('email', ref('stg_email__messages'), ref('stg_email__message_versions'), 'message_id', 'received_at', 'record'),
    ('text', ref('stg_text__messages'), ref('stg_text__message_versions'), 'message_id', 'sent_at', 'event'),
] %}

{%- for channel, current, versions, key, _, kind in channels %}

{{ channel }}_records as (

    {{ current_records(is_full_build(), channel, current, versions, key, kind) }}

),
{%- endfor %}

callback_events as (

    {{ current_callback_events(
        is_full_build(), ref('stg_telephony__callback_events'), ref('stg_telephony__callback_event_versions')
    ) }}

),

counted as (

    {%- for channel, _, _, key, received_at, _ in channels %}

    select
        {{ contact_id(channel, 'records.' ~ key) }} as contact_id,
        1 as records,
        0 as contacts
    from {{ channel }}_records as records
    cross join build
    where records.{{ received_at }} < build.as_of

    union all
    {%- endfor %}

    select distinct
        {{ contact_id('callback', 'callback_events.callback_id') }} as contact_id,
        1 as records,
        0 as contacts
    from callback_events
    cross join build
    where callback_events.occurred_at < build.as_of

    union all

    select
        contacts.contact_id,
        0 as records,
        1 as contacts
    from {{ ref('fct_contacts') }} as contacts
    where {{ written_by_this_build() }}

)

select
    contact_id,
    sum(records) as records,
    sum(contacts) as contacts
from counted
group by contact_id
having sum(records) <> 1 or sum(contacts) <> 1
