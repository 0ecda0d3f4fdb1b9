{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line', 'percentile'], 'unique': true},
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

build as (

    select * from {{ ref('stg_ops__builds') }}

),

percentiles as (

    {% for percentile in abandon_percentiles() -%}
    select {{ percentile }} as percentile
    {{ "union all" if not loop.last }}
    {% endfor %}

),

waits as (

    -- From the calls themselves: a percentile of a month cannot be made from those of its days.
    select
        periods.grain,
        periods.period_start,
        lines.line_of_business,
        calls.wait_seconds,
        row_number() over (
            partition by periods.grain, periods.period_start, lines.line_of_business
            order by calls.wait_seconds
        ) as place,
        count(*) over (partition by periods.grain, periods.period_start, lines.line_of_business) as abandoned_calls
    from periods
    inner join {{ ref('int_calls_abandoned') }} as calls
        on
            periods.period_start <= calls.day_start
            and periods.period_end > calls.day_start
    inner join lines on lines.line_of_business in (calls.line_of_business, 'ALL')
    -- Of a range the planner knows nothing, and would compare all history with each period.
    where calls.day_start >= (select min(earliest.period_start) from periods as earliest)

),

final as (

    select
        periods.grain,
        periods.period_start,
        lines.line_of_business as line,
        percentiles.percentile,
        periods.is_complete,
        waits.wait_seconds,
        coalesce(waits.abandoned_calls, 0)::bigint as abandoned_calls,
        build.build_id as _build_id
    from periods
    cross join lines
    cross join percentiles
    cross join build
    left join waits
        on
            periods.grain = waits.grain
            and periods.period_start = waits.period_start
            and lines.line_of_business = waits.line_of_business
            and {{ nearest_rank('percentiles.percentile', 'waits.abandoned_calls') }} = waits.place

)

select * from final
