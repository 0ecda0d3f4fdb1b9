{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where _build_id <= (select max(figures.build_id) from {{ source('last_build', 'figures_as_of') }} as figures){% endif %}",
) }}
-- A build that fails half way leaves its rows here, so that the next one still knows what it has to mend.

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

{% if is_full_build() -%}

-- Every quarter hour is written anew in any case.
final as (

    select
        ''::text as channel,
        build.as_of as interval_start,
        build.build_id as _build_id
    from build
    where false

)

{%- else -%}

moves as (

    select
        contact_id,
        channel,
        line_of_business,
        event,
        occurred_at,
        age_hours,
        wip_change,
        1 as times
    from {{ ref('int_backlog_moves_changed') }}

    union all

    select
        contact_id,
        channel,
        line_of_business,
        event,
        occurred_at,
        age_hours,
        wip_change,
        -1 as times
    from {{ source('last_build_backlog', 'int_backlog_moves') }}
    where contact_id in (select changed.contact_id from {{ ref('int_contact_ids_changed') }} as changed)

),

differences as (

    select
        contact_id,
        channel,
        line_of_business,
        occurred_at,
        event,
        age_hours,
        wip_change * sum(times) as wip_change
    from moves
    group by contact_id, channel, line_of_business, occurred_at, event, age_hours, wip_change
    having sum(times) <> 0

),

steps as (

    select
        contact_id,
        channel,
        line_of_business,
        occurred_at,
        sum(wip_change) as wip_change
    from differences
    group by contact_id, channel, line_of_business, occurred_at

),

stretches as (

    select
        channel,
        occurred_at as begins,
        lead(occurred_at) over (partition by contact_id, line_of_business order by occurred_at) as ends,
        sum(wip_change) over (partition by contact_id, line_of_business order by occurred_at) as wip_change
    from steps

),

-- The work in progress is counted at the end of a quarter hour, so that one which ends as a stretch begins belongs to it.
affected as (

    select
        stretches.channel,
        stretches.begins - interval '1 microsecond' as begins,
        greatest(coalesce(stretches.ends, build.as_of), stretches.begins) as ends
    from stretches
    cross join build
    where stretches.wip_change <> 0

),

joined as (

    {{ joined_stretches('affected', 'begins', 'ends', 'channel') | indent(4) }}

),

intervals as (

    select
        channel,
        {{ interval_of('occurred_at') }} as interval_start
    from differences

    union

    select
        joined.channel,
        spine.interval_start
    from joined
    cross join lateral {{ quarter_hours('joined.begins', 'joined.ends') }} as spine (interval_start)

),

final as (

    select
        intervals.channel,
        intervals.interval_start,
        build.build_id as _build_id
    from intervals
    cross join build

)

{%- endif %}

select * from final
