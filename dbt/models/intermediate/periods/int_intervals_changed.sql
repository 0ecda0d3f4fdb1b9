{{ config(unlogged=true, indexes=[{'columns': ['interval_start'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

first_call as (

    select min(interval_start) as interval_start
    from {{ ref('fct_calls') }}

),

{% if is_full_build() -%}

changed as (

    select spine.interval_start
    from first_call
    cross join build
    cross join lateral {{ quarter_hours('first_call.interval_start', 'build.as_of') }} as spine (interval_start)

)

{%- else -%}

last_first_call as (

    select min(period_start) as interval_start
    from {{ source('last_build', 'annex_b_calls') }}
    where grain = '15min'

),

changed as (

    -- Wherever any version of a changed call lies: where it counts now, and where it counted before.
    select {{ interval_of('versions.received_at') }} as interval_start
    from {{ ref('int_calls_changed') }} as calls
    -- Looked up call by call: a hash of every version would cost as much as all history.
    cross join lateral (
        select distinct of_call.received_at
        from {{ ref('stg_telephony__call_versions') }} as of_call
        where of_call.call_id = calls.call_id
    ) as versions

    union

    -- Time that has passed since the last build.
    select spine.interval_start
    from build
    cross join lateral {{ quarter_hours('build.previous_as_of', 'build.as_of') }} as spine (interval_start)

    union

    -- Time between what was the first call and what is now.
    select spine.interval_start
    from first_call
    cross join last_first_call
    cross join lateral {{ quarter_hours(
        'least(first_call.interval_start, last_first_call.interval_start)',
        'greatest(first_call.interval_start, last_first_call.interval_start)'
    ) }} as spine (interval_start)

    union

    -- Time about which a file of calls that is missing, or no longer is, would tell.
    select spine.interval_start
    from {{ ref('int_files_missing') }} as missing
    cross join lateral {{ quarter_hours('missing.emitted_after', "(missing.emitted_until + interval '1 microsecond')") }} as spine (interval_start)
    where missing.interface = 'telephony_call'

    union

    select {{ interval_of('incomplete.period_start') }} as interval_start
    from {{ source('last_build', 'annex_b_calls') }} as incomplete
    where
        incomplete.grain = '15min'
        and not incomplete.is_complete

)

{%- endif %},

final as (

    select
        changed.interval_start,
        first_call.interval_start as spine_start
    from changed
    cross join build
    cross join first_call
    where changed.interval_start < build.as_of
    group by changed.interval_start, first_call.interval_start

)

select * from final
