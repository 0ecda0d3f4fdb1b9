{{ config(unlogged=true) }}

with messages as (

    {{ current_records(is_full_build(), 'text', ref('stg_text__messages'), ref('stg_text__message_versions'), 'message_id', 'event') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

at_as_of as (

    select
        messages.*,
        lower(messages.status) as network_status,
        {{ happened('messages.delivered_at', 'build.as_of') }} as delivered
    from messages
    cross join build
    where messages.sent_at < build.as_of

),

final as (

    select
        'text' as channel,
        message_id as source_id,
        direction,
        null::text as line_of_business,
        null::text as language,
        caller_key as customer_key,
        caller_key_missing_reason as customer_key_missing_reason,
        false as is_test,
        sent_at as received_at,
        null::timestamptz as queued_at,
        null::timestamptz as answered_at,
        -- The clock of the network may be a little behind ours.
        case when delivered is not null then greatest(sent_at, delivered) end as ended_at,
        null::numeric as wait_seconds,
        null::numeric as handle_seconds,
        case
            when direction = 'inbound' then 'received'
            when delivered is not null or (delivered_at is null and network_status = 'delivered') then 'delivered'
            when delivered_at is null and network_status in ('failed', 'undelivered', 'undeliverable', 'rejected', 'expired') then 'failed'
            else 'sent'
        end as outcome,
        null::text as agent_id,
        false as is_transferred,
        null::text as transferred_to,
        null::text as transfer_mode,
        {{ json_first_text('reason_codes') }} as primary_reason_code,
        reason_codes,
        {{ contact_id('voice', 'related_call_id') }} as related_contact_id,
        null::text as conversation_id,
        null::boolean as is_complaint,
        greatest(sent_at, delivered_at) as last_event_at,
        null::bigint as record_version,
        null::timestamptz as emitted_at,
        _file_id,
        _line_number
    from at_as_of

)

select * from final
