{{ config(materialized='view') }}

{#- A call's part in each KPI: what it adds above and below the line, and what has been measured of it. -#}
{%- set of_calls = [
    ('GOS_30', 'is_answered', 'wait_seconds <= 30', 'wait_seconds'),
    ('GOS_70', 'is_answered', 'wait_seconds <= 70', 'wait_seconds'),
    ('CALLS_ANSWERED', 'is_offered', 'is_answered', 'wait_seconds'),
    ('CALLS_ABANDONED', 'is_offered', "outcome = 'abandoned_in_queue'", 'wait_seconds'),
    ('FORCED_DISCONNECTS', 'true', "outcome in ('forced_disconnect', 'forced_disconnect_in_queue')", 'wait_seconds'),
    ('AHT', 'is_handled', none, 'handle_seconds'),
] -%}

{#- Calls are read where they are needed, not once for all: PostgreSQL keeps what is read several times, the whole of it. -#}
with of_calls as (

    {% for code, counts, succeeds, measured in of_calls -%}
    select
        '{{ code }}' as kpi_code,
        null::text as grain,
        'call' as item_kind,
        calls.call_id as item_id,
        calls.line_of_business,
        calls.received_at as counted_at,
        {% if succeeds is none -%}
        case when not calls.is_test and calls.{{ counts }} then calls.{{ measured }} else 0 end as numerator,
        {%- else -%}
        case when not calls.is_test and {{ counts }} and {{ succeeds }} then 1 else 0 end::numeric as numerator,
        {%- endif %}
        case when not calls.is_test and {{ counts }} then 1 else 0 end::numeric as denominator,
        calls.{{ measured }} as measured_seconds,
        case
            when calls.is_test then 'Test call'
            when {{ counts }} then null
            when calls.outcome = 'open' then 'Still open'
            when calls.outcome = 'answered' then 'Wrap-up of an agent leg is not known yet'
            else {{ outcome_in_words('calls.outcome') }}
        end as exclusion,
        calls.record_version,
        calls._file_id,
        calls._line_number
    from {{ ref('fct_calls') }} as calls
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- Calls with a caller number are judged where they stand in the sequence of their caller's calls; the others cannot be.
resolutions as (

    select
        'FCR_7' as kpi_code,
        null::text as grain,
        'call' as item_kind,
        calls.call_id as item_id,
        calls.line_of_business,
        calls.received_at as counted_at,
        case when {{ is_resolved('calls.ended_at', 7, 'build.as_of', 'calls.next_received_at') }} then 1 else 0 end::numeric as numerator,
        case when {{ is_mature('calls.ended_at', 7, 'build.as_of') }} then 1 else 0 end::numeric as denominator,
        null::numeric as measured_seconds,
        case
            when calls.ended_at is null then 'Still open'
            when not {{ is_mature('calls.ended_at', 7, 'build.as_of') }} then 'Ended less than 7 days ago: not known yet'
        end as exclusion,
        calls.record_version,
        calls._file_id,
        calls._line_number
    from {{ ref('int_calls_sequenced') }} as calls
    cross join {{ ref('stg_ops__builds') }} as build
    where calls.is_answered
    union all
    {{ calls_that_nobody_can_judge('FCR_7', 'null::text', 'again') | indent(4) }}
        and calls.is_answered

),

repeats as (

    {% for grain in ['day', 'week', 'month'] -%}
    select
        'REPEAT_CALLS' as kpi_code,
        '{{ grain }}' as grain,
        'call' as item_kind,
        calls.call_id as item_id,
        calls.line_of_business,
        calls.received_at as counted_at,
        case when {{ is_repeat_call('calls', grain, '_on_line') }} then 1 else 0 end::numeric as numerator,
        case when {{ is_repeat_call('calls', grain, '') }} then 1 else 0 end::numeric as numerator_in_all,
        1::numeric as denominator,
        null::numeric as measured_seconds,
        null::text as exclusion,
        calls.record_version,
        calls._file_id,
        calls._line_number
    from {{ ref('int_calls_sequenced') }} as calls
    union all
    {{ calls_that_nobody_can_judge('REPEAT_CALLS', "'" ~ grain ~ "'", 'before', in_all=true) | indent(4) }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- What falls due counts when it does, whatever became of it: what nobody ever answered must not be left out.
work_due as (

    {% for code, channel, item_kind in [('CALLBACKS_24H', 'callback', 'call-back'), ('EMAILS_48H', 'email', 'e-mail')] -%}
    select
        '{{ code }}' as kpi_code,
        null::text as grain,
        '{{ item_kind }}' as item_kind,
        contacts.source_id as item_id,
        contacts.line_of_business,
        coalesce({{ falls_due_at('contacts', channel) }}, contacts.received_at) as counted_at,
        {{ is_answered_in_time('contacts', channel) }} as is_in_time,
        coalesce(
            {{ why_never_due('contacts', channel) | indent(8) }},
            case when {{ falls_due_at('contacts', channel) }} >= build.as_of then 'Not due yet' end
        ) as exclusion,
        {{ seconds_between('contacts.queued_at', 'contacts.answered_at') }} as measured_seconds,
        contacts.record_version,
        contacts._file_id,
        contacts._line_number
    from {{ ref('fct_contacts') }} as contacts
    cross join {{ ref('stg_ops__builds') }} as build
    where
        contacts.channel = '{{ channel }}'
        and contacts.direction = '{{ 'inbound' if channel == 'email' else 'outbound' }}'
    {{ "union all" if not loop.last }}
    {% endfor %}

),

work_done as (

    select
        kpi_code,
        grain,
        item_kind,
        item_id,
        line_of_business,
        counted_at,
        case when exclusion is null and is_in_time then 1 else 0 end::numeric as numerator,
        case when exclusion is null then 1 else 0 end::numeric as denominator,
        measured_seconds,
        exclusion,
        record_version,
        _file_id,
        _line_number
    from work_due

),

chats as (

    select
        'WEBCHAT_60S' as kpi_code,
        null::text as grain,
        'webchat' as item_kind,
        source_id as item_id,
        line_of_business,
        received_at as counted_at,
        case when is_answered and wait_seconds <= 60 then 1 else 0 end::numeric as numerator,
        case when is_answered and wait_seconds is not null then 1 else 0 end::numeric as denominator,
        wait_seconds as measured_seconds,
        case
            when is_answered and wait_seconds is null then 'Nobody recorded when it joined the queue: its wait is not known'
            when is_answered then null
            when outcome = 'open' then 'Still open'
            else 'No agent accepted it'
        end as exclusion,
        record_version,
        _file_id,
        _line_number
    from {{ ref('fct_contacts') }}
    where channel = 'webchat'

),

slots as (

    select
        'WIP_FRESHNESS' as kpi_code,
        null::text as grain,
        'two-hour slot' as item_kind,
        to_char(slot_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as item_id,
        'ALL' as line_of_business,
        slot_start as counted_at,
        case when is_served then 1 else 0 end::numeric as numerator,
        1::numeric as denominator,
        null::numeric as measured_seconds,
        null::text as exclusion,
        null::bigint as record_version,
        file_id as _file_id,
        null::bigint as _line_number
    from {{ ref('int_kpi_extract_slots') }}

),

published_files as (

    select
        'FEED_FRESHNESS' as kpi_code,
        null::text as grain,
        'file' as item_kind,
        file_id::text as item_id,
        'ALL' as line_of_business,
        loaded_at as counted_at,
        case when is_in_time then 1 else 0 end::numeric as numerator,
        case when is_pending then 0 else 1 end::numeric as denominator,
        {{ seconds_between('loaded_at', 'committed_at') }} as measured_seconds,
        case when is_pending then 'Not published yet, and not late yet' end as exclusion,
        null::bigint as record_version,
        file_id as _file_id,
        null::bigint as _line_number
    from {{ ref('int_kpi_feed_delays') }}

),

items as (

    {% for items in ['of_calls', 'resolutions', 'work_done', 'chats', 'slots', 'published_files'] -%}
    select
        kpi_code,
        grain,
        item_kind,
        item_id,
        line_of_business,
        counted_at,
        numerator,
        numerator as numerator_in_all,
        denominator,
        measured_seconds,
        exclusion,
        record_version,
        _file_id,
        _line_number
    from {{ items }}
    union all
    {% endfor -%}
    select * from repeats

),

final as (

    select
        items.kpi_code,
        items.grain,
        items.item_kind,
        items.item_id,
        items.line_of_business,
        items.counted_at,
        items.numerator,
        items.numerator_in_all,
        items.denominator,
        items.measured_seconds,
        items.exclusion,
        items.record_version,
        files.file_name,
        items._line_number as line_number,
        files.sha256 as file_sha256
    from items
    left join {{ ref('stg_ops__files') }} as files on items._file_id = files.file_id

)

select * from final
