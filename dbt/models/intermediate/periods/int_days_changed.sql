{{ config(unlogged=true, indexes=[{'columns': ['day_start'], 'unique': true}]) }}

with days as (

    select distinct {{ local_date('interval_start') }} as date_day
    from {{ ref('int_intervals_changed') }}

),

final as (

    select
        date_day,
        {{ instant_of_local('date_day::timestamp') }} as day_start,
        {{ instant_of_local('(date_day + 1)::timestamp') }} as day_end
    from days

)

select * from final
