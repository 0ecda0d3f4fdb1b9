{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start']}],
    pre_hook="{{ replace_changed('day_start', ref('int_days_changed')) }}",
) }}

with days as (

    select * from {{ ref('int_days_changed') }}

),

final as (

    select
        days.day_start,
        calls.call_id,
        calls.line_of_business,
        calls.wait_seconds
    from days
    inner join {{ ref('fct_calls') }} as calls
        on
            days.day_start <= calls.interval_start
            and days.day_end > calls.interval_start
    where
        calls.outcome = 'abandoned_in_queue'
        and calls.wait_seconds is not null
        and not calls.is_test

)

select * from final
