{{ config(
    indexes=[{'columns': ['call_id', 'leg_no'], 'unique': true}, {'columns': ['queued_at']}],
    pre_hook="{{ replace_changed('call_id', ref('int_call_ids_changed')) }}",
    post_hook="{{ index_on('(queued_at) where ' ~ waits_long()) }}",
) }}

with calls as (

    select * from {{ ref('int_calls_mapped') }}

),

queues as (

    select * from {{ ref('queues') }}

),

recorded as (

    select
        calls.call_id,
        legs.leg_no,
        legs.queue,
        calls.line_of_business,
        calls.received_at,
        calls.received_date,
        legs.queued_at,
        legs.answered_at as answered_at_recorded,
        legs.left_at as left_at_recorded,
        coalesce(legs.left_at, calls.ended_at_recorded) as reason_at_recorded,
        legs.agent_id,
        legs.hold_seconds,
        legs.wrap_seconds,
        legs.end_reason as end_reason_recorded,
        legs.transfer_to,
        legs.transfer_mode,
        legs.reason_codes,
        calls.as_of,
        calls.build_id
    from calls
    cross join lateral {{ json_objects('calls.legs', [
        ('leg_no', 'integer'), ('queue', 'text'), ('queued_at', 'timestamptz'), ('answered_at', 'timestamptz'),
        ('left_at', 'timestamptz'), ('agent_id', 'text'), ('hold_seconds', 'numeric'), ('wrap_seconds', 'numeric'),
        ('end_reason', 'text'), ('transfer_to', 'text'), ('transfer_mode', 'text'), ('reason_codes', 'jsonb'),
    ], 'legs') }}

),

at_as_of as (

    -- What lies after as_of has not happened. A reason whose time nobody recorded is taken as it stands.
    select
        *,
        {{ happened('answered_at_recorded', 'as_of') }} as answered_at,
        {{ happened('left_at_recorded', 'as_of') }} as left_at,
        case when reason_at_recorded is null or reason_at_recorded <= as_of then end_reason_recorded end as end_reason
    from recorded

),

numbered as (

    select
        *,
        leg_no = max(leg_no) over (partition by call_id) as is_last_leg,
        leg_no > min(case when answered_at is not null then leg_no end) over (partition by call_id) as is_after_answered_leg,
        leg_no = max(case when answered_at is not null and left_at is not null then leg_no end) over (partition by call_id)
            as is_last_ended_agent_leg
    from at_as_of

),

final as (

    select
        numbered.call_id,
        numbered.leg_no,
        numbered.queue,
        queues.support_line,
        numbered.line_of_business,
        numbered.received_at,
        numbered.queued_at,
        numbered.answered_at,
        numbered.left_at,
        numbered.agent_id,
        numbered.hold_seconds,
        numbered.wrap_seconds,
        numbered.end_reason,
        case when numbered.end_reason = 'transferred' then numbered.transfer_to end as transfer_to,
        case when numbered.end_reason = 'transferred' then numbered.transfer_mode end as transfer_mode,
        coalesce(numbered.reason_codes, '[]'::jsonb) as reason_codes,
        numbered.is_last_leg,
        coalesce(numbered.is_after_answered_leg, false) as is_after_answered_leg,
        coalesce(numbered.is_last_ended_agent_leg, false) as is_last_ended_agent_leg,
        numbered.answered_at is not null as is_answered,
        numbered.answered_at is not null and numbered.left_at is not null and numbered.wrap_seconds is not null as is_complete,
        {{ seconds_between('numbered.queued_at', 'coalesce(numbered.answered_at, numbered.left_at)') }} as wait_seconds,
        case
            when numbered.answered_at is not null and numbered.left_at is not null and numbered.wrap_seconds is not null
                then {{ seconds_between('numbered.answered_at', 'numbered.left_at') }} + numbered.wrap_seconds
        end as handle_seconds,
        greatest(numbered.answered_at_recorded, numbered.reason_at_recorded) as last_event_at,
        numbered.build_id as _build_id
    from numbered
    left join queues
        on
            numbered.queue = queues.queue
            and numbered.received_date >= queues.valid_from
            and numbered.received_date < coalesce(queues.valid_to, date '9999-12-31')

)

select * from final
