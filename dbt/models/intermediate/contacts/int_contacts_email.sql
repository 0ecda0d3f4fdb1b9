{{ config(unlogged=true) }}

with messages as (

    {{ current_records(is_full_build(), 'email', ref('stg_email__messages'), ref('stg_email__message_versions'), 'message_id') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

at_as_of as (

    -- What lies after as_of has not happened. A transfer whose time nobody recorded is taken as it stands.
    select
        messages.*,
        messages.direction = 'inbound' as is_inbound,
        {{ happened('messages.replied_at', 'build.as_of') }} as replied,
        {{ happened('messages.transferred_at', 'build.as_of') }} as transferred,
        coalesce(messages.transferred_at <= build.as_of, messages.transferred_to is not null) as has_transfer,
        case when messages.replied_at is null or messages.replied_at <= build.as_of then messages.agent_id end as agent
    from messages
    cross join build
    where messages.received_at < build.as_of

),

final as (

    select
        'email' as channel,
        message_id as source_id,
        direction,
        line_of_business,
        null::text as language,
        -- The sender of an outbound message is the contact centre itself.
        case when is_inbound then customer_key end as customer_key,
        case when is_inbound then customer_key_missing_reason else 'outbound' end as customer_key_missing_reason,
        false as is_test,
        received_at,
        case when is_inbound then received_at end as queued_at,
        case when is_inbound then replied end as answered_at,
        case when is_inbound then least(replied, transferred) else received_at end as ended_at,
        case when is_inbound then {{ seconds_between('received_at', 'replied') }} end as wait_seconds,
        null::numeric as handle_seconds,
        case
            when not is_inbound then 'sent'
            when replied is not null then 'replied'
            when has_transfer then 'transferred'
            else 'open'
        end as outcome,
        agent as agent_id,
        has_transfer as is_transferred,
        case when has_transfer then transferred_to end as transferred_to,
        null::text as transfer_mode,
        coalesce({{ json_first_text('reason_codes') }}, case when is_inbound and replied is not null then 'UNCODED' end) as primary_reason_code,
        reason_codes,
        null::text as related_contact_id,
        thread_id as conversation_id,
        is_complaint,
        greatest(received_at, replied_at, transferred_at) as last_event_at,
        record_version,
        emitted_at,
        _file_id,
        _line_number
    from at_as_of

)

select * from final
