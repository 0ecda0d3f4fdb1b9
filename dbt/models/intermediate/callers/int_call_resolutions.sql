{{ config(materialized='view') }}

with calls as (

    select * from {{ ref('int_calls_sequenced') }}
    where is_answered

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

spans as (

    {% for days in resolution_days() -%}
    select {{ days }} as x_days
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
        calls.call_id,
        calls.caller_key,
        calls.line_of_business,
        calls.received_at,
        calls.interval_start,
        calls.ended_at,
        calls.next_received_at,
        spans.x_days,
        {{ days_of_24_hours_after('calls.ended_at', 'spans.x_days') }} as matures_at,
        {{ is_mature('calls.ended_at', 'spans.x_days', 'build.as_of') }} as is_mature,
        {{ is_resolved('calls.ended_at', 'spans.x_days', 'build.as_of', 'calls.next_received_at') }} as is_resolved
    from calls
    cross join spans
    cross join build

)

select * from final
