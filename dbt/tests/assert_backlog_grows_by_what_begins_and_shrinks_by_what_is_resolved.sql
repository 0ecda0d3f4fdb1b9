-- At the end of a quarter hour as many are in the work in progress as at its start, and those that came since, without those that left.
-- What comes or goes at the very end belongs to it: the work in progress is counted at that instant.
{%- set marts = [('callback', 'annex_b_callbacks'), ('email', 'email_volumes')] %}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

written as (

    {% for channel, mart in marts -%}
    select
        '{{ channel }}' as channel,
        volumes.line,
        volumes.period_start,
        least(volumes.period_end, build.as_of) as counted_at,
        volumes.wip_at_period_end,
        coalesce(before.wip_at_period_end, 0) as wip_before
    from {{ ref(mart) }} as volumes
    cross join build
    left join {{ ref(mart) }} as before
        on
            before.grain = '15min'
            and volumes.line = before.line
            and volumes.period_start - interval '15 minutes' = before.period_start
    where
        volumes.grain = '15min'
        and volumes._build_id = build.build_id
        -- Nothing is known of the time before the first row; what begins at its very start was there already.
        and before.period_start is not null
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- A quarter hour has what lies in it but for its first instant, and the first instant of the next.
changes as (

    select
        written.channel,
        written.line,
        written.period_start,
        sum(moves.wip_change) as wip_change
    from written
    inner join {{ ref('int_backlog_moves') }} as moves
        on
            written.channel = moves.channel
            and written.line in (moves.line_of_business, 'ALL')
            and moves.interval_start in (written.period_start, written.period_start + interval '15 minutes')
    where
        moves.occurred_at > written.period_start
        and moves.occurred_at <= written.counted_at
    group by written.channel, written.line, written.period_start

)

select
    written.*,
    changes.wip_change
from written
left join changes
    on
        written.channel = changes.channel
        and written.line = changes.line
        and written.period_start = changes.period_start
where written.wip_at_period_end <> written.wip_before + coalesce(changes.wip_change, 0)
