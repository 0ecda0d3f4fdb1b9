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

matured as (

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
        build.as_of
    from calls
    cross join spans
    cross join build

),

final as (

    select
        call_id,
        caller_key,
        line_of_business,
        received_at,
        interval_start,
        ended_at,
        next_received_at,
        x_days,
        matures_at,
        -- A call that has not ended cannot be judged yet.
        coalesce(matures_at <= as_of, false) as is_mature,
        coalesce(matures_at <= as_of and (next_received_at > matures_at or next_received_at is null), false) as is_resolved
    from matured

)

select * from final
