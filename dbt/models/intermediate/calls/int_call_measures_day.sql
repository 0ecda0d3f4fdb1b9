{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('day_start', ref('int_days_changed')) }}",
) }}

with days as (

    select * from {{ ref('int_days_changed') }}

),

final as (

    select
        days.day_start,
        measures.line_of_business,
        {{ summed_call_measures() | indent(8) }}
    from days
    inner join {{ ref('int_call_measures_15min') }} as measures
        on
            days.day_start <= measures.interval_start
            and days.day_end > measures.interval_start
    group by days.day_start, measures.line_of_business

)

select * from final
