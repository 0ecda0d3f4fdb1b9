{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line', 'reason_code'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods() }}",
) }}

with periods as (

    select * from {{ ref('int_periods_changed') }}
    where is_in_spine

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

quarters as (

    {{ quarters_of_periods() | indent(4) }}

),

within_days as (

    select
        quarters.grain,
        quarters.period_start,
        types.line_of_business,
        types.reason_code,
        bool_and(types.is_agreed) as is_agreed,
        sum(types.calls_primary) as calls_primary,
        sum(types.calls_any) as calls_any
    from quarters
    inner join {{ ref('int_call_types_15min') }} as types on quarters.interval_start = types.interval_start
    group by quarters.grain, quarters.period_start, types.line_of_business, types.reason_code

),

days_and_longer as (

    select
        periods.grain,
        periods.period_start,
        types.line_of_business,
        types.reason_code,
        bool_and(types.is_agreed) as is_agreed,
        sum(types.calls_primary) as calls_primary,
        sum(types.calls_any) as calls_any
    from periods
    inner join {{ ref('int_call_types_day') }} as types
        on
            periods.period_start <= types.day_start
            and periods.period_end > types.day_start
    where not periods.is_within_day
    group by periods.grain, periods.period_start, types.line_of_business, types.reason_code

),

counted as (

    select * from within_days
    union all
    select * from days_and_longer

),

final as (

    select
        counted.grain,
        counted.period_start,
        counted.line_of_business as line,
        counted.reason_code,
        counted.is_agreed,
        periods.is_complete,
        counted.calls_primary::bigint as calls_primary,
        counted.calls_any::bigint as calls_any,
        build.build_id as _build_id
    from counted
    cross join build
    inner join periods
        on
            counted.grain = periods.grain
            and counted.period_start = periods.period_start

)

select * from final
