{{ config(unlogged=true, indexes=[{'columns': ['agent_id', 'begins'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

{% if is_full_build() -%}

stretches as (

    select
        states.agent_id,
        min(states.since) as begins,
        build.as_of as ends
    from {{ ref('int_agent_states') }} as states
    cross join build
    where states.since < build.as_of
    group by states.agent_id, build.as_of

),

{%- else -%}

touched as (

    -- When any content of a changed event says that a state was entered: now, or before.
    select
        versions.agent_id,
        versions.since
    from {{ ref('int_agent_events_changed') }} as changed
    inner join {{ ref('stg_workforce__agent_state_versions') }} as versions on changed.event_id = versions.event_id

    union

    -- Known already, but not yet entered when the last build looked.
    select
        states.agent_id,
        states.since
    from {{ ref('int_agent_states') }} as states
    where states.since >= (select build.previous_as_of from build)

    union

    -- States that went on when the last build looked, except those of agents who had been offline for long.
    select
        stood.agent_id,
        build.previous_as_of as since
    from build
    inner join {{ source('last_build', 'agent_intervals') }} as stood
        on stood.interval_start = {{ interval_of("build.previous_as_of - interval '1 microsecond'") }}

),

-- An event decides on the state from its own instant up to the next one of the agent, and on nothing else.
stretches as (

    select
        touched.agent_id,
        touched.since as begins,
        least(later.since, build.as_of) as ends
    from touched
    cross join build
    -- Looked up agent by agent: history grows, what is touched does not.
    cross join lateral (
        select min(states.since) as since
        from {{ ref('int_agent_states') }} as states
        where
            states.agent_id = touched.agent_id
            and states.since > touched.since
    ) as later
    where touched.since < build.as_of

),

{%- endif %}

whole_intervals as (

    select
        stretches.agent_id,
        {{ interval_of('stretches.begins') }} as begins,
        least({{ interval_end_of('stretches.ends') }}, build.as_of) as ends
    from stretches
    cross join build

),

final as (

    {{ joined_stretches('whole_intervals', 'begins', 'ends', 'agent_id') | indent(4) }}

)

select * from final
