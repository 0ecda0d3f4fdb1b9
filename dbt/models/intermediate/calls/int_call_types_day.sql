{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start', 'line_of_business', 'reason_code'], 'unique': true}],
    pre_hook="{{ replace_changed('day_start', ref('int_days_changed')) }}",
) }}

with days as (

    select * from {{ ref('int_days_changed') }}

),

final as (

    select
        days.day_start,
        types.line_of_business,
        types.reason_code,
        bool_and(types.is_agreed) as is_agreed,
        sum(types.calls_primary)::bigint as calls_primary,
        sum(types.calls_any)::bigint as calls_any
    from days
    inner join {{ ref('int_call_types_15min') }} as types
        on
            days.day_start <= types.interval_start
            and days.day_end > types.interval_start
    group by days.day_start, types.line_of_business, types.reason_code

)

select * from final
