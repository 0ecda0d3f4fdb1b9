{{ config(unlogged=true, indexes=[{'columns': ['caller_key', 'received_at', 'call_id'], 'unique': true}]) }}

with calls as (

    select * from {{ ref('int_calls_changed') }}
    -- A full build sequences every call and needs no list.
    where {{ (not is_full_build()) | lower }}

),

final as (

    -- Looked up call by call, as in int_intervals_changed.
    select
        versions.caller_key,
        versions.received_at,
        calls.call_id
    from calls
    cross join lateral (
        select distinct
            of_call.caller_key,
            of_call.received_at
        from {{ ref('stg_telephony__call_versions') }} as of_call
        where of_call.call_id = calls.call_id
    ) as versions
    where versions.caller_key is not null

)

select * from final
