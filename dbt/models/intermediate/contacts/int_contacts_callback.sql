{{ config(unlogged=true) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

recorded as (

    {{ current_callback_events(
        is_full_build(), ref('stg_telephony__callback_events'), ref('stg_telephony__callback_event_versions')
    ) }}

),

last_events as (

    select
        callback_id,
        max(occurred_at) as last_event_at
    from recorded
    group by callback_id

),

events as (

    -- What lies after as_of has not happened.
    select
        recorded.*,
        recorded.event = 'connected' or (recorded.event = 'attempted' and recorded.outcome = 'connected') as is_connection
    from recorded
    cross join build
    where recorded.occurred_at <= build.as_of

),

placed as (

    select
        *,
        case when is_connection then 'connected' when event in ('cancelled', 'expired') then event end as resolution,
        -- The request comes first, then what happened first: it gives the call-back its time, its number and its place in a file.
        row_number() over (partition by callback_id order by case when event = 'requested' then 0 else 1 end, occurred_at, event_id) as place
    from events

),

resolutions as (

    select
        callback_id,
        resolution,
        row_number() over (
            partition by callback_id
            order by occurred_at, case resolution when 'connected' then 1 when 'cancelled' then 2 else 3 end, event_id
        ) as place
    from placed
    where resolution is not null

),

connections as (

    select
        callback_id,
        agent_id,
        row_number() over (
            partition by callback_id order by occurred_at, case when event = 'connected' then 0 else 1 end, event_id
        ) as place
    from placed
    where is_connection

),

calls as (

    select
        callback_id,
        call_id,
        row_number() over (partition by callback_id order by place) as place
    from placed
    where call_id is not null

),

codes as (

    select
        placed.callback_id,
        codes.value as reason_code,
        row_number() over (partition by placed.callback_id order by placed.occurred_at, placed.event_id, codes.place) as place
    from placed
    cross join lateral {{ json_texts_in_order('placed.reason_codes', 'codes') }}

),

codes_once as (

    select
        callback_id,
        reason_code,
        min(place) as place
    from codes
    group by callback_id, reason_code

),

code_lists as (

    select
        callback_id,
        {{ json_list('reason_code', 'place') }} as reason_codes
    from codes_once
    group by callback_id

),

callbacks as (

    select
        callback_id,
        max(case when place = 1 then dialled_number end) as dialled_number,
        max(case when place = 1 then occurred_at end) as received_at,
        max(case when place = 1 then _file_id end) as _file_id,
        max(case when place = 1 then _line_number end) as _line_number,
        min(case when event = 'requested' then occurred_at end) as requested_at,
        min(case when is_connection then occurred_at end) as connected_at,
        min(case when resolution is not null then occurred_at end) as resolved_at
    from placed
    group by callback_id

),

dialled_numbers as (

    select * from {{ ref('dialled_numbers') }}

),

final as (

    select
        'callback' as channel,
        callbacks.callback_id as source_id,
        'outbound' as direction,
        dialled_numbers.line_of_business,
        null::text as language,
        null::text as customer_key,
        'not_sent' as customer_key_missing_reason,
        false as is_test,
        callbacks.received_at,
        callbacks.requested_at as queued_at,
        callbacks.connected_at as answered_at,
        callbacks.resolved_at as ended_at,
        {{ seconds_between('callbacks.requested_at', 'callbacks.connected_at') }} as wait_seconds,
        null::numeric as handle_seconds,
        coalesce(resolutions.resolution, 'open') as outcome,
        connections.agent_id,
        false as is_transferred,
        null::text as transferred_to,
        null::text as transfer_mode,
        coalesce(
            {{ json_first_text('code_lists.reason_codes') }}, case when callbacks.connected_at is not null then 'UNCODED' end
        ) as primary_reason_code,
        coalesce(code_lists.reason_codes, '[]'::jsonb) as reason_codes,
        {{ contact_id('voice', 'calls.call_id') }} as related_contact_id,
        null::text as conversation_id,
        null::boolean as is_complaint,
        last_events.last_event_at,
        null::bigint as record_version,
        null::timestamptz as emitted_at,
        callbacks._file_id,
        callbacks._line_number
    from callbacks
    cross join build
    inner join last_events on callbacks.callback_id = last_events.callback_id
    left join resolutions on callbacks.callback_id = resolutions.callback_id and resolutions.place = 1
    left join connections on callbacks.callback_id = connections.callback_id and connections.place = 1
    left join calls on callbacks.callback_id = calls.callback_id and calls.place = 1
    left join code_lists on callbacks.callback_id = code_lists.callback_id
    left join dialled_numbers
        on
            callbacks.dialled_number = dialled_numbers.dialled_number
            and {{ local_date('callbacks.received_at') }} >= dialled_numbers.valid_from
            and {{ local_date('callbacks.received_at') }} < coalesce(dialled_numbers.valid_to, date '9999-12-31')
    where callbacks.received_at < build.as_of

)

select * from final
