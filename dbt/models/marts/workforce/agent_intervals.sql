{{ config(
    indexes=[
        {'columns': ['interval_start', 'agent_id', 'lines_of_business'], 'unique': true},
        {'columns': ['agent_id', 'interval_start']},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_stretches() }}",
) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

stretches as (

    select * from {{ ref('int_agent_stretches_changed') }}

),

states as (

    -- The state in which the agent is when the stretch begins.
    select
        stretches.agent_id,
        stretches.begins as stretch_begins,
        stretches.ends as stretch_ends,
        earlier.event_id,
        earlier.state,
        earlier.lines_of_business,
        earlier.since as entered_at,
        stretches.begins as since
    from stretches
    cross join lateral (
        select entered.*
        from {{ ref('int_agent_states') }} as entered
        where
            entered.agent_id = stretches.agent_id
            and entered.since <= stretches.begins
        order by entered.since desc, entered.event_id desc
        limit 1
    ) as earlier

    union all

    select
        stretches.agent_id,
        stretches.begins as stretch_begins,
        stretches.ends as stretch_ends,
        entered.event_id,
        entered.state,
        entered.lines_of_business,
        entered.since as entered_at,
        entered.since
    from stretches
    inner join {{ ref('int_agent_states') }} as entered
        on
            stretches.agent_id = entered.agent_id
            and stretches.begins < entered.since
            and stretches.ends > entered.since

),

states_in_order as (

    select
        *,
        -- Of two states entered at one instant the one with the greater event_id counts, in whatever file it came.
        row_number() over (partition by agent_id, since order by event_id desc) as place
    from states

),

stays as (

    select
        agent_id,
        state,
        lines_of_business,
        since as begins,
        lead(since, 1, stretch_ends) over (partition by agent_id, stretch_begins order by since) as ends,
        case when state <> 'offline' then {{ end_of_longest_shift('entered_at') }} end as expires_at
    from states_in_order
    where place = 1

),

-- Of an agent from whom nothing came for longer than a shift nobody knows what it was spent with.
spans as (

    select
        agent_id,
        state,
        lines_of_business,
        begins,
        least(ends, expires_at) as ends
    from stays
    where begins < coalesce(expires_at, ends)

    union all

    select
        agent_id,
        'unknown' as state,
        lines_of_business,
        greatest(begins, expires_at) as begins,
        ends
    from stays
    where expires_at < ends

),

-- Staff may have been on duty in a quarter hour of a state that is not duty only where that state begins or ends.
span_intervals as (

    select
        spans.agent_id,
        spans.state,
        spans.lines_of_business,
        spans.begins,
        spans.ends,
        spine.interval_start
    from spans
    cross join lateral {{ quarter_hours('spans.begins', 'spans.ends') }} as spine (interval_start)
    where spans.state not in ('offline', 'unknown')

    union all

    select
        spans.agent_id,
        spans.state,
        spans.lines_of_business,
        spans.begins,
        spans.ends,
        {{ interval_of('spans.begins') }} as interval_start
    from spans
    where spans.state in ('offline', 'unknown')

    union all

    select
        spans.agent_id,
        spans.state,
        spans.lines_of_business,
        spans.begins,
        spans.ends,
        {{ interval_of('spans.ends') }} as interval_start
    from spans
    where
        spans.state in ('offline', 'unknown')
        and {{ interval_of('spans.begins') }} < {{ interval_of('spans.ends') }}

),

pieces as (

    select
        *,
        {{ seconds_between('greatest(begins, interval_start)', "least(ends, interval_start + interval '15 minutes')") }} as seconds
    from span_intervals

),

seconds as (

    select
        interval_start,
        agent_id,
        lines_of_business,
        {%- for state in staffed_states() + ['offline', 'unknown'] %}
        coalesce(sum(case when state = '{{ state }}' then seconds end), 0) as {{ state }}_seconds,
        {%- endfor %}
        coalesce(sum(case when state not in ('offline', 'unknown') then seconds end), 0) as staffed_seconds
    from pieces
    where seconds > 0
    group by interval_start, agent_id, lines_of_business

),

totals as (

    select
        *,
        staffed_seconds - break_seconds - training_seconds as ready_seconds,
        in_call_seconds + wrap_up_seconds + hold_seconds as busy_seconds,
        sum(staffed_seconds) over (partition by agent_id, interval_start) as staffed_seconds_of_agent
    from seconds

),

final as (

    select
        totals.interval_start,
        {{ local_time('totals.interval_start') }} as interval_start_local,
        {{ local_date('totals.interval_start') }} as interval_date,
        totals.agent_id,
        totals.lines_of_business,
        {%- for state in staffed_states() + ['offline', 'unknown'] %}
        totals.{{ state }}_seconds,
        {%- endfor %}
        totals.staffed_seconds,
        totals.ready_seconds,
        totals.busy_seconds,
        {{ ratio('totals.busy_seconds', 'totals.ready_seconds') }} as occupancy_rate,
        {{ ratio('totals.ready_seconds', 'totals.staffed_seconds') }} as availability_rate,
        build.build_id as _build_id
    from totals
    cross join build
    where totals.staffed_seconds_of_agent > 0

)

select * from final
