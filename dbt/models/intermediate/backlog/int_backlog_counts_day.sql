{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['channel', 'day_start']}],
    pre_hook="{{ replace_changed('channel, day_start', \"(select channel, period_start as day_start from \" ~ ref('int_backlog_periods_changed') ~ \" where grain = 'day') as days\") }}",
) }}

with days as (

    select * from {{ ref('int_backlog_periods_changed') }}
    where grain = 'day'

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

final as (

    select
        days.channel,
        days.period_start as day_start,
        coalesce(moves.line_of_business, 'ALL') as line_of_business,
        moves.event,
        moves.age_hours,
        count(*) as items
    from days
    cross join build
    inner join {{ ref('int_backlog_moves') }} as moves
        on
            days.channel = moves.channel
            and days.period_start = moves.day_start
    where moves.occurred_at < build.as_of
    group by
        grouping sets (
            (days.channel, days.period_start, moves.line_of_business, moves.event, moves.age_hours),
            (days.channel, days.period_start, moves.event, moves.age_hours)
        )

)

select * from final
