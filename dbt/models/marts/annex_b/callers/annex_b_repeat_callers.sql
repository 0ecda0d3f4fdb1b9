{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_caller_periods_changed')) }}",
) }}

with periods as (

    select * from {{ ref('int_caller_periods_changed') }}
    where is_in_spine

),

lines as (

    select line_of_business from {{ ref('dim_line_of_business') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

calls_in_period as (

    select
        periods.grain,
        periods.period_start,
        gaps.line_of_business,
        gaps.calls,
        gaps.received_date - gaps.days_since_previous < periods.first_date as is_first_of_caller,
        gaps.received_date + gaps.days_until_next > periods.last_date as is_last_of_caller
    from periods
    inner join {{ ref('int_caller_gaps_day') }} as gaps
        on
            periods.first_date <= gaps.received_date
            and periods.last_date >= gaps.received_date

),

with_number as (

    -- A caller is counted where their last call of the period is.
    select
        grain,
        period_start,
        line_of_business,
        sum(calls) as calls_with_number,
        sum(case when is_first_of_caller and is_last_of_caller then 0 else calls end) as repeat_calls,
        sum(case when is_last_of_caller and not is_first_of_caller then calls else 0 end) as repeat_callers,
        sum(case when is_last_of_caller then calls else 0 end) as callers
    from calls_in_period
    group by grain, period_start, line_of_business

),

without_number as (

    select
        periods.grain,
        periods.period_start,
        measures.line_of_business,
        sum(measures.calls_without_caller_number) as calls_without_number
    from periods
    inner join {{ ref('int_call_measures_day') }} as measures
        on
            periods.period_start <= measures.day_start
            and periods.period_end > measures.day_start
    group by periods.grain, periods.period_start, measures.line_of_business

),

dense as (

    select
        periods.grain,
        periods.period_start,
        periods.period_end,
        periods.first_date,
        periods.last_date,
        periods.is_complete,
        lines.line_of_business,
        coalesce(with_number.calls_with_number, 0)::bigint as calls_with_number,
        coalesce(with_number.repeat_calls, 0)::bigint as repeat_calls,
        coalesce(with_number.repeat_callers, 0)::bigint as repeat_callers,
        coalesce(with_number.callers, 0)::bigint as callers,
        coalesce(without_number.calls_without_number, 0)::bigint as calls_without_number
    from periods
    cross join lines
    left join with_number
        on
            periods.grain = with_number.grain
            and periods.period_start = with_number.period_start
            and lines.line_of_business = with_number.line_of_business
    left join without_number
        on
            periods.grain = without_number.grain
            and periods.period_start = without_number.period_start
            and lines.line_of_business = without_number.line_of_business

),

final as (

    select
        dense.grain,
        dense.period_start,
        dense.period_end,
        dense.first_date as period_date,
        dense.last_date as period_last_date,
        dense.line_of_business as line,
        dense.is_complete,
        dense.calls_with_number,
        dense.repeat_calls,
        dense.repeat_callers,
        dense.callers,
        {{ ratio('dense.repeat_calls', 'dense.calls_with_number') }} as repeat_call_rate,
        {{ ratio('dense.repeat_callers', 'dense.callers') }} as repeat_caller_rate,
        dense.calls_without_number,
        build.build_id as _build_id
    from dense
    cross join build

)

select * from final
