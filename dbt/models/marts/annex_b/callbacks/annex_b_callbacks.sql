{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(backlog_periods_changed('callback')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with {{ backlog_volumes('callback', ['generated', 'attempts', 'connected', 'cancelled', 'expired', 'due', 'in_time']) }},

final as (

    select
        grain,
        period_start,
        period_end,
        period_start_local,
        period_date,
        hour_of_day,
        line,
        is_complete,
        generated as callbacks_offered,
        generated as callbacks_generated,
        attempts,
        connected,
        cancelled,
        expired,
        due,
        in_time as reached_in_time,
        wip_at_period_end,
        _build_id
    from dense

)

select * from final
