{{ config(unlogged=true, indexes=[{'columns': ['call_id'], 'unique': true}]) }}

with changed as (

    select * from {{ ref('int_caller_calls_changed') }}

),

sequenced as (

    -- Every call of these callers, from an index alone that holds the calls of a caller side by side: a caller of years costs one look.
    select
        call_id,
        caller_key,
        received_at,
        {{ calls_before_and_after() | indent(8) }},
        last_value(received_at) over (
            partition by caller_key, line_of_business
            order by received_at range between unbounded preceding and interval '1 microsecond' preceding
        ) as earlier_on_line_at,
        first_value(received_at) over (
            partition by caller_key, line_of_business
            order by received_at range between interval '1 microsecond' following and unbounded following
        ) as later_on_line_at
    from {{ ref('fct_calls') }}
    where
        not is_test
        and {{ is_looked_up('caller_key', ref('int_caller_calls_changed')) }}
    {{ callers_windows() | indent(4) }}

),

final as (

    select
        calls.call_id,
        calls.caller_key,
        calls.line_of_business,
        calls.received_at,
        calls.received_date,
        calls.interval_start,
        calls.is_answered,
        calls.ended_at,
        sequenced.next_received_at,
        sequenced.previous_date,
        sequenced.next_date,
        sequenced.previous_date_on_line,
        sequenced.next_date_on_line,
        calls.record_version,
        calls._file_id,
        calls._line_number
    from sequenced
    inner join {{ ref('fct_calls') }} as calls on sequenced.call_id = calls.call_id
    -- A change makes no difference to a call beyond the caller's nearest call on the same line: the nearest on any is no further off.
    where exists (
        select 1
        from changed
        where
            changed.caller_key = sequenced.caller_key
            and (sequenced.earlier_on_line_at is null or changed.received_at >= sequenced.earlier_on_line_at)
            and (sequenced.later_on_line_at is null or changed.received_at <= sequenced.later_on_line_at)
    )

)

select * from final
