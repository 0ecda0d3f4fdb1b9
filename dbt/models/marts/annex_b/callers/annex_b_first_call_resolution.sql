{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line', 'x_days'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_resolution_periods_changed')) }}",
) }}

with periods as (

    select * from {{ ref('int_resolution_periods_changed') }}
    where is_in_spine

),

lines as (

    select line_of_business from {{ ref('dim_line_of_business') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

spans as (

    {% for days in resolution_days() -%}
    select {{ days }} as x_days
    {{ "union all" if not loop.last }}
    {% endfor %}

),

quarters as (

    {{ quarters_of_periods() | indent(4) }}

),

within_days as (

    select
        quarters.grain,
        quarters.period_start,
        resolutions.line_of_business,
        resolutions.x_days,
        sum(resolutions.answered_with_number) as answered_with_number,
        sum(resolutions.resolved) as resolved,
        sum(resolutions.immature) as immature,
        sum(resolutions.answered_without_number) as answered_without_number
    from quarters
    inner join {{ ref('int_resolutions_15min') }} as resolutions on quarters.interval_start = resolutions.interval_start
    group by quarters.grain, quarters.period_start, resolutions.line_of_business, resolutions.x_days

),

days_and_longer as (

    select
        periods.grain,
        periods.period_start,
        resolutions.line_of_business,
        resolutions.x_days,
        sum(resolutions.answered_with_number) as answered_with_number,
        sum(resolutions.resolved) as resolved,
        sum(resolutions.immature) as immature,
        sum(resolutions.answered_without_number) as answered_without_number
    from periods
    inner join {{ ref('int_resolutions_day') }} as resolutions
        on
            periods.period_start <= resolutions.day_start
            and periods.period_end > resolutions.day_start
    where not periods.is_within_day
    group by periods.grain, periods.period_start, resolutions.line_of_business, resolutions.x_days

),

counted as (

    select * from within_days
    union all
    select * from days_and_longer

),

dense as (

    select
        periods.grain,
        periods.period_start,
        periods.period_end,
        periods.is_complete,
        lines.line_of_business,
        spans.x_days,
        coalesce(counted.answered_with_number, 0)::bigint as answered_with_number,
        coalesce(counted.resolved, 0)::bigint as resolved,
        coalesce(counted.immature, 0)::bigint as immature,
        coalesce(counted.answered_without_number, 0)::bigint as answered_without_number
    from periods
    cross join lines
    cross join spans
    left join counted
        on
            periods.grain = counted.grain
            and periods.period_start = counted.period_start
            and lines.line_of_business = counted.line_of_business
            and spans.x_days = counted.x_days

),

final as (

    select
        dense.grain,
        dense.period_start,
        dense.period_end,
        {{ local_date('dense.period_start') }} as period_date,
        dense.line_of_business as line,
        dense.x_days,
        dense.is_complete,
        dense.answered_with_number,
        dense.resolved,
        {{ ratio('dense.resolved', 'dense.answered_with_number') }} as fcr_rate,
        dense.immature,
        dense.answered_without_number,
        build.build_id as _build_id
    from dense
    cross join build

)

select * from final
