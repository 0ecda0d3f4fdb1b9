{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start', 'agent_id', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('day_start', \"(select period_start as day_start from \" ~ ref('int_agent_periods_changed') ~ \" where grain = 'day') as days\") }}",
) }}

with days as (

    select * from {{ ref('int_agent_periods_changed') }}
    where grain = 'day'

),

lines as (

    select * from {{ ref('dim_line_of_business') }}

),

final as (

    select
        days.period_start as day_start,
        agents.agent_id,
        lines.line_of_business,
        {{ summed_agent_seconds() | indent(8) }}
    from days
    inner join {{ ref('agent_intervals') }} as agents
        on
            days.period_start <= agents.interval_start
            and days.period_end > agents.interval_start
    inner join lines on lines.is_total or {{ json_list_holds('agents.lines_of_business', 'lines.line_of_business') }}
    where agents.staffed_seconds > 0
    group by days.period_start, agents.agent_id, lines.line_of_business

)

select * from final
