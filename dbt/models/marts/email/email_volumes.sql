{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(backlog_periods_changed('email')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with {{ backlog_volumes('email', ['received', 'replied', 'transferred', 'due', 'in_time']) }},

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
        received,
        replied,
        transferred,
        due,
        in_time as replied_in_time,
        wip_at_period_end,
        _build_id
    from dense

)

select * from final
