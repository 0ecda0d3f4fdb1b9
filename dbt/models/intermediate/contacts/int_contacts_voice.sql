{{ config(unlogged=true) }}

with calls as (

    select *
    from {{ ref('fct_calls') }}
    where call_id in ({{ changed_contacts('voice') }})

),

legs as (

    select *
    from {{ ref('fct_call_legs') }}
    where call_id in (select calls.call_id from calls)

),

answers as (

    select
        call_id,
        agent_id,
        row_number() over (partition by call_id order by answered_at, leg_no) as place
    from legs
    where is_answered

),

transfers as (

    select
        call_id,
        transfer_to,
        transfer_mode,
        row_number() over (partition by call_id order by leg_no desc) as place_from_last
    from legs
    where end_reason = 'transferred'

),

final as (

    select
        'voice' as channel,
        calls.call_id as source_id,
        'inbound' as direction,
        calls.line_of_business,
        calls.language,
        calls.caller_key as customer_key,
        calls.caller_key_missing_reason as customer_key_missing_reason,
        calls.is_test,
        calls.received_at,
        calls.first_queued_at as queued_at,
        calls.first_answered_at as answered_at,
        calls.ended_at,
        calls.wait_seconds,
        case when calls.is_handled then calls.handle_seconds end as handle_seconds,
        calls.outcome,
        answers.agent_id,
        transfers.call_id is not null as is_transferred,
        transfers.transfer_to as transferred_to,
        transfers.transfer_mode,
        calls.primary_reason_code,
        calls.reason_codes,
        null::text as related_contact_id,
        null::text as conversation_id,
        null::boolean as is_complaint,
        calls.last_event_at,
        calls.record_version,
        calls.emitted_at,
        calls._file_id,
        calls._line_number
    from calls
    left join answers on calls.call_id = answers.call_id and answers.place = 1
    left join transfers on calls.call_id = transfers.call_id and transfers.place_from_last = 1

)

select * from final
