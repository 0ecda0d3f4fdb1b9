{{ config(unlogged=true, indexes=[{'columns': ['received_date'], 'unique': true}]) }}

with changed as (

    select
        caller_key,
        {{ local_date('received_at') }} as received_date
    from {{ ref('int_caller_calls_changed') }}

),

days as (

    select received_date
    from changed

    union

    -- A change matters to the caller's calls so near that a gap between them is counted.
    select calls.received_date
    from changed
    cross join lateral (
        select near_calls.received_date
        from {{ ref('int_calls_sequenced') }} as near_calls
        where
            near_calls.caller_key = changed.caller_key
            and near_calls.received_date > changed.received_date - {{ longest_gap_days() }}
            and near_calls.received_date < changed.received_date + {{ longest_gap_days() }}
    ) as calls

),

final as (

    select
        received_date,
        {{ instant_of_local('received_date::timestamp') }} as day_start,
        {{ instant_of_local('(received_date + 1)::timestamp') }} as day_end
    from days

)

select * from final
