{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

days as (

    select * from {{ ref('int_days_changed') }}

),

spine as (

    select min(spine_start) as spine_start
    from {{ ref('int_intervals_changed') }}

),

calendar as (

    select
        grain,
        period_date as first_date,
        {{ local_date('period_end') }} - 1 as last_date
    from {{ ref('int_periods_changed') }}
    where grain in ('day', 'week', 'month')

),

rolling as (

    -- Every window that holds a changed day and has begun its last one.
    {% for grain, length in rolling_windows() -%}
    select distinct
        '{{ grain }}' as grain,
        dim_date.date_day - {{ length - 1 }} as first_date,
        dim_date.date_day as last_date
    from days
    cross join build
    inner join {{ ref('dim_date') }} as dim_date
        on
            days.date_day <= dim_date.date_day
            and days.date_day + {{ length }} > dim_date.date_day
            and build.as_of > dim_date.day_start
    {{ "union all" if not loop.last }}
    {% endfor %}

),

periods as (

    select * from calendar
    union all
    select * from rolling

),

bounds as (

    select
        periods.*,
        {{ instant_of_local('periods.first_date::timestamp') }} as period_start,
        {{ instant_of_local('(periods.last_date + 1)::timestamp') }} as period_end,
        spine.spine_start,
        'telephony_call' as interface
    from periods
    cross join spine

),

missing as (

    {{ files_missing() | indent(4) }}

),

final as (

    select
        bounds.grain,
        bounds.period_start,
        bounds.period_end,
        bounds.first_date,
        bounds.last_date,
        bounds.period_end > bounds.spine_start as is_in_spine,
        {{ is_complete('bounds') | indent(8) }} as is_complete
    from bounds

)

select * from final
