{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['interval_start', 'line_of_business', 'x_days'], 'unique': true}],
    pre_hook="{{ replace_changed('interval_start', ref('int_resolution_intervals_changed')) }}",
) }}

with intervals as (

    select interval_start
    from {{ ref('int_resolution_intervals_changed') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

answered as (

    select
        intervals.interval_start,
        calls.line_of_business,
        true as has_number,
        calls.ended_at,
        calls.next_received_at
    from intervals
    inner join {{ ref('int_calls_sequenced') }} as calls
        on
            intervals.interval_start <= calls.received_at
            and intervals.interval_start + interval '15 minutes' > calls.received_at
    where calls.is_answered

    union all

    select
        intervals.interval_start,
        calls.line_of_business,
        false as has_number,
        null as ended_at,
        null as next_received_at
    from intervals
    inner join {{ ref('fct_calls') }} as calls on intervals.interval_start = calls.interval_start
    where
        calls.is_answered
        and calls.caller_key is null
        and not calls.is_test

),

counted as (

    select
        answered.interval_start,
        coalesce(answered.line_of_business, 'ALL') as line_of_business,
        {%- for days in resolution_days() %}
        sum(case when {{ is_mature('answered.ended_at', days, 'build.as_of') }} then 1 else 0 end) as mature_{{ days }}d,
        sum(case when {{ is_resolved('answered.ended_at', days, 'build.as_of', 'answered.next_received_at') }} then 1 else 0 end)
            as resolved_{{ days }}d,
        {%- endfor %}
        sum(case when answered.has_number then 1 else 0 end) as with_number,
        sum(case when answered.has_number then 0 else 1 end) as without_number
    from answered
    cross join build
    group by grouping sets ((answered.interval_start, answered.line_of_business), (answered.interval_start))

),

final as (

    {% for days in resolution_days() -%}
    select
        interval_start,
        line_of_business,
        {{ days }} as x_days,
        mature_{{ days }}d as answered_with_number,
        resolved_{{ days }}d as resolved,
        with_number - mature_{{ days }}d as immature,
        without_number as answered_without_number
    from counted
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
