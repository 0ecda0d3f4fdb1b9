{{ config(unlogged=true, indexes=[{'columns': ['channel', 'grain', 'period_start']}]) }}

with periods as (

    select * from {{ ref('int_backlog_periods_changed') }}
    where is_in_spine

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

quarters as (

    select
        hours.channel,
        hours.period_start + quarters.minutes * interval '1 minute' as interval_start
    from periods as hours
    cross join (values (0), (15), (30), (45)) as quarters (minutes)
    where hours.grain = 'hour'

),

in_quarters as (

    select
        quarters.channel,
        quarters.interval_start,
        coalesce(moves.line_of_business, 'ALL') as line_of_business,
        moves.event,
        moves.age_hours,
        count(*) as items
    from quarters
    cross join build
    inner join {{ ref('int_backlog_moves') }} as moves
        on
            quarters.channel = moves.channel
            and quarters.interval_start = moves.interval_start
    where moves.occurred_at < build.as_of
    group by
        grouping sets (
            (quarters.channel, quarters.interval_start, moves.line_of_business, moves.event, moves.age_hours),
            (quarters.channel, quarters.interval_start, moves.event, moves.age_hours)
        )

),

within_days as (

    {% for grain, period_start, _ in period_bounds() if grain in ('15min', '30min', 'hour') -%}
    select
        periods.channel,
        periods.grain,
        periods.period_start,
        instants.line_of_business,
        instants.event,
        instants.age_hours,
        sum(instants.items) as items
    from in_quarters as instants
    inner join periods
        on
            instants.channel = periods.channel
            and periods.grain = '{{ grain }}'
            and {{ period_start }} = periods.period_start
    group by
        periods.channel, periods.grain, periods.period_start, instants.line_of_business, instants.event, instants.age_hours
    {{ "union all" if not loop.last }}
    {% endfor %}

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
