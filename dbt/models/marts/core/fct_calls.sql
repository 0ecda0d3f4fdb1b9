{{ config(
    indexes=[
        {'columns': ['call_id'], 'unique': true},
        {'columns': ['interval_start']},
        {'columns': ['received_at']},
        {'columns': ['last_event_at']},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed('call_id', ref('int_call_ids_changed')) }}",
    post_hook="{{ index_on('(interval_start) where is_answered and caller_key is null') }}",
) }}

with calls as (

    select * from {{ ref('int_calls_mapped') }}

),

legs as (

    select *
    from {{ ref('fct_call_legs') }}
    where call_id in (select calls.call_id from calls)

),

legs_of_call as (

    select
        call_id,
        count(*) as legs_count,
        min(queued_at) as first_queued_at,
        min(answered_at) as first_answered_at,
        max(case when is_last_leg then end_reason end) as last_end_reason,
        max(case when is_last_leg then left_at end) as last_left_at,
        bool_or(is_answered and end_reason = 'abandoned') as has_abandoned_agent,
        bool_or(not is_answered and is_after_answered_leg and end_reason = 'abandoned') as has_abandoned_transfer,
        coalesce(sum(handle_seconds), 0) as handle_seconds,
        sum(case when is_complete then 1 else 0 end) as handled_legs,
        sum(case when is_answered and not is_complete then 1 else 0 end) as legs_wrap_pending,
        sum(case when transfer_to = '2nd_line' then 1 else 0 end) as transfers_to_2nd_line,
        sum(case when transfer_to = '2nd_line' and transfer_mode = 'warm' then 1 else 0 end) as transfers_to_2nd_line_warm,
        sum(case when transfer_to = '2nd_line' and transfer_mode = 'cold' then 1 else 0 end) as transfers_to_2nd_line_cold,
        sum(case when transfer_to = 'csmt' then 1 else 0 end) as transfers_to_csmt,
        sum(case when transfer_to = 'csmt' and transfer_mode = 'warm' then 1 else 0 end) as transfers_to_csmt_warm,
        sum(case when transfer_to = 'csmt' and transfer_mode = 'cold' then 1 else 0 end) as transfers_to_csmt_cold,
        max(case when is_last_ended_agent_leg then {{ json_first_text('reason_codes') }} end) as first_reason_code,
        max(last_event_at) as last_event_at
    from legs
    group by call_id

),

codes as (

    select
        legs.call_id,
        codes.value as reason_code,
        row_number() over (partition by legs.call_id order by legs.leg_no, codes.place) as place
    from legs
    cross join lateral {{ json_texts_in_order('legs.reason_codes', 'codes') }}

),

codes_once as (

    select
        call_id,
        reason_code,
        min(place) as place
    from codes
    group by call_id, reason_code

),

code_lists as (

    select
        call_id,
        {{ json_list('reason_code', 'place') }} as reason_codes
    from codes_once
    group by call_id

),

resolved as (

    select
        calls.*,
        coalesce(code_lists.reason_codes, '[]'::jsonb) as reason_codes,
        legs_of_call.first_queued_at,
        legs_of_call.first_answered_at,
        coalesce(legs_of_call.legs_count, 0) as legs_count,
        calls.ivr_outcome = 'queued' as is_offered,
        legs_of_call.first_answered_at is not null as is_answered,
        case
            when calls.ivr_outcome = 'self_served' then 'ivr_self_served'
            when calls.ivr_outcome = 'abandoned' then 'ivr_abandoned'
            when calls.ivr_outcome = 'forced_disconnect' then 'forced_disconnect'
            when legs_of_call.first_answered_at is not null then 'answered'
            when legs_of_call.last_end_reason = 'abandoned' then 'abandoned_in_queue'
            when legs_of_call.last_end_reason = 'forced_disconnect' then 'forced_disconnect_in_queue'
            when legs_of_call.last_end_reason is not null or calls.ended_at is not null then 'queue_flow_out'
            else 'open'
        end as outcome,
        coalesce(legs_of_call.last_left_at, calls.ended_at) as last_left_at,
        coalesce(legs_of_call.has_abandoned_agent, false) as has_abandoned_agent,
        coalesce(legs_of_call.has_abandoned_transfer, false) as has_abandoned_transfer,
        coalesce(legs_of_call.handle_seconds, 0) as handle_seconds,
        coalesce(legs_of_call.handled_legs, 0) as handled_legs,
        coalesce(legs_of_call.legs_wrap_pending, 0) as legs_wrap_pending,
        coalesce(legs_of_call.transfers_to_2nd_line, 0) as transfers_to_2nd_line,
        coalesce(legs_of_call.transfers_to_2nd_line_warm, 0) as transfers_to_2nd_line_warm,
        coalesce(legs_of_call.transfers_to_2nd_line_cold, 0) as transfers_to_2nd_line_cold,
        coalesce(legs_of_call.transfers_to_csmt, 0) as transfers_to_csmt,
        coalesce(legs_of_call.transfers_to_csmt_warm, 0) as transfers_to_csmt_warm,
        coalesce(legs_of_call.transfers_to_csmt_cold, 0) as transfers_to_csmt_cold,
        legs_of_call.first_reason_code,
        greatest(calls.received_at, calls.ended_at_recorded, legs_of_call.last_event_at) as last_event_at
    from calls
    left join legs_of_call on calls.call_id = legs_of_call.call_id
    left join code_lists on calls.call_id = code_lists.call_id

),

final as (

    select
        call_id,
        record_version,
        emitted_at,
        is_test,
        dialled_number,
        line_of_business,
        caller_key,
        caller_key_missing_reason,
        language,
        received_at,
        received_date,
        interval_start,
        ivr_ended_at,
        ivr_outcome,
        ended_at,
        first_queued_at,
        first_answered_at,
        case
            when outcome = 'answered' then first_answered_at
            when outcome in ('abandoned_in_queue', 'queue_flow_out', 'forced_disconnect_in_queue') then last_left_at
        end as left_queue_at,
        outcome,
        is_offered,
        is_answered,
        case
            when outcome = 'answered' then {{ seconds_between('first_queued_at', 'first_answered_at') }}
            when outcome = 'abandoned_in_queue' then {{ seconds_between('first_queued_at', 'last_left_at') }}
        end as wait_seconds,
        short_abandon_seconds,
        is_answered and has_abandoned_agent as is_abandoned_at_skill,
        is_answered and has_abandoned_transfer as is_abandoned_awaiting_transfer,
        legs_count,
        handle_seconds,
        handled_legs,
        legs_wrap_pending,
        is_answered and legs_wrap_pending = 0 as is_handled,
        transfers_to_2nd_line,
        transfers_to_2nd_line_warm,
        transfers_to_2nd_line_cold,
        transfers_to_csmt,
        transfers_to_csmt_warm,
        transfers_to_csmt_cold,
        case when is_answered then coalesce(first_reason_code, 'UNCODED') end as primary_reason_code,
        reason_codes,
        last_event_at,
        _file_id,
        _line_number,
        build_id as _build_id
    from resolved

)

select * from final
-- So that what a day or a month asks for lies together.
order by received_at
