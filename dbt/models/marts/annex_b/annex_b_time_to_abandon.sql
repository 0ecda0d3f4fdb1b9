{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line', 'bucket_seconds_from'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods() }}",
) }}

with periods as (

    select * from {{ ref('int_periods_changed') }}
    where
        grain in ('day', 'week', 'month')
        and is_in_spine

),

lines as (

    select line_of_business from {{ ref('dim_line_of_business') }}

),

buckets as (

    select * from {{ ref('wait_buckets') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

counted as (

    select
        periods.grain,
        periods.period_start,
        abandons.line_of_business,
        abandons.bucket_seconds_from,
        sum(abandons.abandoned_calls) as abandoned_calls
    from periods
    inner join {{ ref('int_abandons_day') }} as abandons
        on
            periods.period_start <= abandons.day_start
            and periods.period_end > abandons.day_start
    group by periods.grain, periods.period_start, abandons.line_of_business, abandons.bucket_seconds_from

),

final as (

    select
        periods.grain,
        periods.period_start,
        lines.line_of_business as line,
        buckets.bucket_seconds_from,
        buckets.bucket_seconds_to,
        buckets.bucket_label,
        periods.is_complete,
        coalesce(counted.abandoned_calls, 0)::bigint as abandoned_calls,
        build.build_id as _build_id
    from periods
    cross join lines
    cross join buckets
    cross join build
    left join counted
        on
            periods.grain = counted.grain
            and periods.period_start = counted.period_start
            and lines.line_of_business = counted.line_of_business
            and buckets.bucket_seconds_from = counted.bucket_seconds_from

)

select * from final
