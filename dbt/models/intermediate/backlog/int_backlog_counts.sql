{{ config(unlogged=true, indexes=[{'columns': ['channel', 'grain', 'period_start']}]) }}

with periods as (

    select * from {{ ref('int_backlog_periods_changed') }}
    where is_in_spine

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

within_days as (

    select
        periods.channel,
        periods.grain,
        periods.period_start,
        coalesce(moves.line_of_business, 'ALL') as line_of_business,
        moves.event,
        moves.age_hours,
        count(*) as items
    from periods
    cross join build
    inner join {{ ref('int_backlog_moves') }} as moves
        on
            periods.channel = moves.channel
            and periods.period_start <= moves.occurred_at
            and least(periods.period_end, build.as_of) > moves.occurred_at
    where periods.is_within_day
    group by
        grouping sets (
            (periods.channel, periods.grain, periods.period_start, moves.line_of_business, moves.event, moves.age_hours),
            (periods.channel, periods.grain, periods.period_start, moves.event, moves.age_hours)
        )

),

days_and_longer as (

    select
        periods.channel,
        periods.grain,
        periods.period_start,
        days.line_of_business,
        days.event,
        days.age_hours,
        sum(days.items) as items
    from periods
    inner join {{ ref('int_backlog_counts_day') }} as days
        on
            periods.channel = days.channel
            and periods.period_start <= days.day_start
            and periods.period_end > days.day_start
    where not periods.is_within_day
    group by periods.channel, periods.grain, periods.period_start, days.line_of_business, days.event, days.age_hours

),

final as (

    select * from within_days
    union all
    select * from days_and_longer

)

select * from final
