{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start', 'line_of_business', 'x_days'], 'unique': true}],
    pre_hook="{{ replace_changed('day_start', ref('int_resolution_intervals_changed')) }}",
) }}

with days as (

    select distinct
        day_start,
        day_end
    from {{ ref('int_resolution_intervals_changed') }}

),

final as (

    select
        days.day_start,
        resolutions.line_of_business,
        resolutions.x_days,
        sum(resolutions.answered_with_number)::bigint as answered_with_number,
        sum(resolutions.resolved)::bigint as resolved,
        sum(resolutions.immature)::bigint as immature,
        sum(resolutions.answered_without_number)::bigint as answered_without_number
    from days
    inner join {{ ref('int_resolutions_15min') }} as resolutions
        on
            days.day_start <= resolutions.interval_start
            and days.day_end > resolutions.interval_start
    group by days.day_start, resolutions.line_of_business, resolutions.x_days

)

select * from final
