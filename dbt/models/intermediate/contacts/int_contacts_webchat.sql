{{ config(unlogged=true) }}

with sessions as (

    {{ current_records(is_full_build(), 'webchat', ref('stg_webchat__sessions'), ref('stg_webchat__session_versions'), 'chat_id') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

at_as_of as (

    -- What lies after as_of has not happened. A reason whose time nobody recorded is taken as it stands.
    select
        sessions.*,
        {{ happened('sessions.queued_at', 'build.as_of') }} as queued,
        {{ happened('sessions.accepted_at', 'build.as_of') }} as accepted,
        {{ happened('sessions.first_response_at', 'build.as_of') }} as first_response,
        {{ happened('sessions.ended_at', 'build.as_of') }} as ended,
        case when sessions.ended_at is null or sessions.ended_at <= build.as_of then sessions.end_reason end as reason,
        case when sessions.accepted_at is null or sessions.accepted_at <= build.as_of then sessions.agent_id end as agent
    from sessions
    cross join build
    where sessions.started_at < build.as_of

),

final as (

    select
        'webchat' as channel,
        chat_id as source_id,
        'inbound' as direction,
        line_of_business,
        language,
        customer_key,
        customer_key_missing_reason,
        false as is_test,
        started_at as received_at,
        queued as queued_at,
        accepted as answered_at,
        ended as ended_at,
        case
            when accepted is not null then {{ seconds_between('queued', 'accepted') }}
            when reason = 'abandoned_in_queue' then {{ seconds_between('queued', 'ended') }}
        end as wait_seconds,
        {{ seconds_between('accepted', 'ended') }} as handle_seconds,
        coalesce(reason, case when ended is not null then 'unknown' else 'open' end) as outcome,
        agent as agent_id,
        coalesce(reason = 'transferred', false) as is_transferred,
        case when reason = 'transferred' then transfer_to end as transferred_to,
        null::text as transfer_mode,
        coalesce({{ json_first_text('reason_codes') }}, case when accepted is not null then 'UNCODED' end) as primary_reason_code,
        reason_codes,
        null::text as related_contact_id,
        null::text as conversation_id,
        null::boolean as is_complaint,
        greatest(started_at, queued_at, accepted_at, first_response_at, ended_at) as last_event_at,
        record_version,
        emitted_at,
        _file_id,
        _line_number,
        -- Of webchats alone, and so not in fct_contacts.
        case when accepted is not null then {{ seconds_between('least(accepted, first_response)', 'first_response') }} end
            as first_response_seconds,
        messages_customer,
        messages_agent
    from at_as_of

)

select * from final
