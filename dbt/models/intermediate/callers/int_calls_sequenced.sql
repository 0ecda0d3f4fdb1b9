{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[
        {'columns': ['call_id'], 'unique': true},
        {'columns': ['caller_key', 'received_at']},
        {'columns': ['interval_start']},
        {'columns': ['ended_at']},
    ],
    pre_hook="{{ replace_looked_up('caller_key', ref('int_caller_calls_changed')) }}",
) }}

with calls as (

    select *
    from {{ ref('fct_calls') }}
    where
        caller_key is not null
        and not is_test
        {%- if is_incremental() %}
        and {{ is_looked_up('caller_key', ref('int_caller_calls_changed')) }}
        {%- endif %}

),

final as (

    select
        call_id,
        caller_key,
        line_of_business,
        received_at,
        received_date,
        interval_start,
        is_answered,
        ended_at,
        -- Calls received at the same instant are not later than one another.
        first_value(received_at) over (
            partition by caller_key
            order by received_at range between interval '1 microsecond' following and unbounded following
        ) as next_received_at,
        lag(received_date) over (of_caller) as previous_date,
        lead(received_date) over (of_caller) as next_date,
        lag(received_date) over (of_caller_on_line) as previous_date_on_line,
        lead(received_date) over (of_caller_on_line) as next_date_on_line
    from calls
    window
        of_caller as (partition by caller_key order by received_at, call_id),
        of_caller_on_line as (partition by caller_key, line_of_business order by received_at, call_id)

)

select * from final
