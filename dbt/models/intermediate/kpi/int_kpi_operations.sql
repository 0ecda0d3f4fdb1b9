{{ config(materialized='view') }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

feed_delays as (

    select * from {{ ref('int_kpi_feed_delays') }}

),

first_load as (

    select min(loaded_at) as loaded_at
    from feed_delays

),

operations as (

    select
        'WIP_FRESHNESS' as kpi_code,
        slot_date as counted_date,
        case when is_served then 1 else 0 end as in_time,
        1 as counted,
        0 as pending
    from {{ ref('int_kpi_extract_slots') }}

    union all

    select
        'FEED_FRESHNESS' as kpi_code,
        loaded_date as counted_date,
        case when is_in_time then 1 else 0 end as in_time,
        case when is_pending then 0 else 1 end as counted,
        case when is_pending then 1 else 0 end as pending
    from feed_delays

    union all

    -- A day on which no file came has a row too, and no value.
    select
        'FEED_FRESHNESS' as kpi_code,
        days.day::date as counted_date,
        0 as in_time,
        0 as counted,
        0 as pending
    from first_load
    cross join build
    cross join lateral {{ local_days('first_load.loaded_at', "build.as_of - interval '1 microsecond'") }} as days (day)

),

final as (

    -- Ledgers, not calls: no line of business of their own. They are counted anew each time, so the last build stands for them.
    {% for grain in kpi_grains() -%}
    select
        operations.kpi_code,
        '{{ grain }}' as grain,
        {{ instant_of_local("date_trunc('" ~ grain ~ "', operations.counted_date::timestamp)") }} as period_start,
        'ALL' as line_of_business,
        sum(operations.in_time)::numeric as numerator,
        sum(operations.counted)::numeric as denominator,
        sum(operations.pending)::bigint as pending,
        build.build_id as _build_id
    from operations
    cross join build
    group by 1, 3, 8
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
