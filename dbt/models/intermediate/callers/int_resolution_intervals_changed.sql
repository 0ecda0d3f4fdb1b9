{{ config(unlogged=true, indexes=[{'columns': ['interval_start'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

spine as (

    select min(spine_start) as spine_start
    from {{ ref('int_intervals_changed') }}

),

changed as (

    select interval_start
    from {{ ref('int_intervals_changed') }}

    {%- if not is_full_build() %}

    union

    -- Earlier calls that a changed call follows, or no longer does.
    select earlier.interval_start
    from {{ ref('int_caller_calls_changed') }} as later
    cross join lateral (
        select distinct calls.interval_start
        from {{ ref('int_calls_sequenced') }} as calls
        where
            calls.caller_key = later.caller_key
            and calls.is_answered
            and calls.received_at < later.received_at
            and calls.ended_at >= {{ days_of_24_hours_after('later.received_at', -(resolution_days() | max)) }}
    ) as earlier
    {%- for days in resolution_days() %}

    union

    -- Calls of which it is known since the last build whether they are resolved.
    select calls.interval_start
    from {{ ref('int_calls_sequenced') }} as calls
    where
        calls.is_answered
        and calls.ended_at > (select {{ days_of_24_hours_after('build.previous_as_of', -days) }} from build)
        and calls.ended_at <= (select {{ days_of_24_hours_after('build.as_of', -days) }} from build)
    {%- endfor %}
    {%- endif %}

),

final as (

    select
        changed.interval_start,
        {{ instant_of_local(local_date('changed.interval_start') ~ '::timestamp') }} as day_start,
        {{ instant_of_local('(' ~ local_date('changed.interval_start') ~ ' + 1)::timestamp') }} as day_end,
        spine.spine_start
    from changed
    cross join spine

)

select * from final
