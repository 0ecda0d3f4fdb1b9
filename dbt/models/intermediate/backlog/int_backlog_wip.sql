{{ config(unlogged=true, indexes=[{'columns': ['channel', 'counted_at', 'line_of_business'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

lines as (

    select * from {{ ref('dim_line_of_business') }}

),

ends as (

    select distinct
        periods.channel,
        least(periods.period_end, build.as_of) as counted_at
    from {{ ref('int_backlog_periods_changed') }} as periods
    cross join build
    where periods.is_in_spine

),

first_ends as (

    select
        channel,
        min(counted_at) as counted_at
    from ends
    group by channel

),

-- Counted once, at the first instant that is asked for; from there on what comes and goes is added up.
moves as (

    {% for channel, _, _ in backlog_channels() -%}
    select
        contacts.channel,
        contacts.line_of_business,
        first_ends.counted_at as occurred_at,
        1 as wip_change
    from first_ends
    inner join {{ ref('fct_contacts') }} as contacts
        on
            {{ is_in_wip('contacts', channel, 'first_ends.counted_at') | indent(12) }}
    where first_ends.channel = '{{ channel }}'

    union all

    {% endfor -%}
    select
        moves.channel,
        moves.line_of_business,
        moves.occurred_at,
        moves.wip_change
    from first_ends
    inner join {{ ref('int_backlog_moves') }} as moves
        on
            first_ends.channel = moves.channel
            and first_ends.counted_at < moves.occurred_at
            -- Follows from the line above, and is what the index is over.
            and {{ interval_of('first_ends.counted_at') }} <= moves.interval_start
    where moves.wip_change <> 0

),

points as (

    select
        moves.channel,
        lines.line_of_business,
        moves.occurred_at as counted_at,
        sum(moves.wip_change) as wip_change,
        false as is_end
    from moves
    inner join lines on lines.is_total or moves.line_of_business = lines.line_of_business
    group by moves.channel, lines.line_of_business, moves.occurred_at

    union all

    select
        ends.channel,
        lines.line_of_business,
        ends.counted_at,
        0 as wip_change,
        true as is_end
    from ends
    cross join lines

),

running as (

    select
        *,
        -- What comes or goes at the very instant counts.
        sum(wip_change) over (partition by channel, line_of_business order by counted_at range between unbounded preceding and current row) as wip
    from points

),

final as (

    select
        channel,
        line_of_business,
        counted_at,
        wip::bigint as wip
    from running
    where is_end

)

select * from final
