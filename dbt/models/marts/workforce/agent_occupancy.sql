{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_agent_periods_changed')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with periods as (

    select * from {{ ref('int_agent_periods_changed') }}
    where is_in_spine

),

lines as (

    select * from {{ ref('dim_line_of_business') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

within_days as (

    select
        periods.grain,
        periods.period_start,
        lines.line_of_business,
        count(distinct agents.agent_id) as agents,
        {{ summed_agent_seconds() | indent(8) }}
    from periods
    inner join {{ ref('agent_intervals') }} as agents
        on
            periods.period_start <= agents.interval_start
            and periods.period_end > agents.interval_start
    inner join lines on lines.is_total or {{ json_list_holds('agents.lines_of_business', 'lines.line_of_business') }}
    where
        periods.is_within_day
        and agents.staffed_seconds > 0
    group by periods.grain, periods.period_start, lines.line_of_business

),

days_and_longer as (

    select
        periods.grain,
        periods.period_start,
        days.line_of_business,
        count(distinct days.agent_id) as agents,
        {{ summed_agent_seconds() | indent(8) }}
    from periods
    inner join {{ ref('int_agent_seconds_day') }} as days
        on
            periods.period_start <= days.day_start
            and periods.period_end > days.day_start
    where not periods.is_within_day
    group by periods.grain, periods.period_start, days.line_of_business

),

counted as (

    select * from within_days
    union all
    select * from days_and_longer

),

final as (

    select
        periods.grain,
        periods.period_start,
        periods.period_end,
        periods.period_start_local,
        periods.period_date,
        extract(hour from periods.period_start_local)::integer as hour_of_day,
        lines.line_of_business,
        periods.is_complete,
        coalesce(counted.agents, 0) as agents,
        {%- for name in staffed_states() + ['staffed', 'ready', 'busy'] %}
        coalesce(counted.{{ name }}_seconds, 0) as {{ name }}_seconds,
        {%- endfor %}
        {{ ratio('counted.busy_seconds', 'counted.ready_seconds') }} as occupancy_rate,
        {{ ratio('counted.ready_seconds', 'counted.staffed_seconds') }} as availability_rate,
        build.build_id as _build_id
    from periods
    cross join lines
    cross join build
    left join counted
        on
            periods.grain = counted.grain
            and periods.period_start = counted.period_start
            and lines.line_of_business = counted.line_of_business

)

select * from final
