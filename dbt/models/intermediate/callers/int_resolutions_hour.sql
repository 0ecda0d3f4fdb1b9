{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['hour_start', 'line_of_business', 'x_days'], 'unique': true}],
    pre_hook="{{ replace_changed('hour_start', ref('int_resolution_hours_changed')) }}",
) }}

with hours as (

    select * from {{ ref('int_resolution_hours_changed') }}

),

answered as (

    select
        hours.hour_start,
        calls.line_of_business,
        calls.x_days,
        case when calls.is_mature then 1 else 0 end as answered_with_number,
        case when calls.is_resolved then 1 else 0 end as resolved,
        case when calls.is_mature then 0 else 1 end as immature,
        0 as answered_without_number
    from hours
    inner join {{ ref('int_call_resolutions') }} as calls
        on
            hours.hour_start <= calls.interval_start
            and hours.hour_end > calls.interval_start

    {%- for days in resolution_days() %}

    union all

    select
        hours.hour_start,
        calls.line_of_business,
        {{ days }} as x_days,
        0 as answered_with_number,
        0 as resolved,
        0 as immature,
        1 as answered_without_number
    from hours
    inner join {{ ref('fct_calls') }} as calls
        on
            hours.hour_start <= calls.interval_start
            and hours.hour_end > calls.interval_start
    where
        calls.is_answered
        and calls.caller_key is null
        and not calls.is_test
    {%- endfor %}

),

final as (

    select
        hour_start,
        coalesce(line_of_business, 'ALL') as line_of_business,
        x_days,
        sum(answered_with_number)::bigint as answered_with_number,
        sum(resolved)::bigint as resolved,
        sum(immature)::bigint as immature,
        sum(answered_without_number)::bigint as answered_without_number
    from answered
    group by grouping sets ((hour_start, line_of_business, x_days), (hour_start, x_days))

)

select * from final
