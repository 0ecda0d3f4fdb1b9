{{ config(materialized='view') }}

with calls as (

    select * from {{ ref('fct_calls') }}

),

figures as (

    select * from {{ ref('figures_as_of') }}

),

final as (

    select
        'answered_and_never_ended' as finding,
        calls.call_id,
        calls.line_of_business,
        calls.received_at,
        calls.first_answered_at,
        calls._file_id,
        calls._line_number
    from calls
    cross join figures
    where
        calls.is_answered
        and calls.ended_at is null
        and not calls.is_test
        and calls.received_at < {{ days_of_24_hours_after('figures.as_of', -1) }}

)

select * from final
