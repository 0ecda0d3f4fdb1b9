{{ config(materialized='view') }}

with operations as (

    select
        'WIP_FRESHNESS' as kpi_code,
        slot_date as counted_date,
        is_served as is_in_time,
        false as is_pending
    from {{ ref('int_kpi_extract_slots') }}

    union all

    select
        'FEED_FRESHNESS' as kpi_code,
        loaded_date as counted_date,
        is_in_time,
        is_pending
    from {{ ref('int_kpi_feed_delays') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

final as (

    -- Ledgers, not calls: no line of business of their own. They are counted anew each time, so the last build stands for them.
    {% for grain in kpi_grains() -%}
    select
        operations.kpi_code,
        '{{ grain }}' as grain,
        {{ instant_of_local("date_trunc('" ~ grain ~ "', operations.counted_date::timestamp)") }} as period_start,
        'ALL' as line_of_business,
        sum(case when operations.is_in_time then 1 else 0 end)::numeric as numerator,
        sum(case when operations.is_pending then 0 else 1 end)::numeric as denominator,
        sum(case when operations.is_pending then 1 else 0 end)::bigint as pending,
        build.build_id as _build_id
    from operations
    cross join build
    group by 1, 3, 8
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
