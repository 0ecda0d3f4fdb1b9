{{ config(unlogged=true, indexes=[{'columns': ['call_id'], 'unique': true}]) }}

{%- set columns = sequenced_call_columns() %}

with calls_now as (

    select calls.*
    from {{ ref('int_calls_changed') }} as changed_calls
    inner join {{ ref('fct_calls') }} as calls on changed_calls.call_id = calls.call_id
    where
        calls.caller_key is not null
        and not calls.is_test
        and {{ (not is_full_build()) | lower }}

),

{#- A full build has no changed callers, and perhaps no last build either. -#}
{%- set last_build = ref('fct_calls') if is_full_build() else source('last_build_callers', 'int_calls_sequenced') %}

changes as (

    -- Where changed calls are, and where they were.
    select
        caller_key,
        received_at,
        line_of_business
    from calls_now
    union
    select
        stood.caller_key,
        stood.received_at,
        stood.line_of_business
    from {{ ref('int_caller_calls_changed') }} as changed
    inner join {{ last_build }} as stood
        on
            changed.caller_key = stood.caller_key
            and changed.received_at = stood.received_at
            and changed.call_id = stood.call_id

),

of_callers as (

    select
        caller_key,
        received_at,
        call_id,
        line_of_business,
        received_date,
        true as is_changed
    from calls_now
    union all
    -- The caller's other calls, as the last build left them: from an index alone, in which they lie side by side.
    select
        caller_key,
        received_at,
        call_id,
        line_of_business,
        received_date,
        false as is_changed
    from {{ last_build }}
    where
        {{ is_looked_up('caller_key', ref('int_caller_calls_changed')) }}
        and call_id not in (select calls.call_id from {{ ref('int_calls_changed') }} as calls)

),

sequenced as (

    select
        caller_key,
        received_at,
        call_id,
        line_of_business,
        is_changed,
        {{ calls_before_and_after() | indent(8) }},
        last_value(received_at) over (
            partition by caller_key
            order by received_at range between unbounded preceding and interval '1 microsecond' preceding
        ) as earlier_at,
        last_value(received_at) over (
            partition by caller_key, line_of_business
            order by received_at range between unbounded preceding and interval '1 microsecond' preceding
        ) as earlier_on_line_at,
        first_value(received_at) over (
            partition by caller_key, line_of_business
            order by received_at range between interval '1 microsecond' following and unbounded following
        ) as later_on_line_at
    from of_callers
    {{ callers_windows() | indent(4) }}

),

touched as (

    -- A change makes no difference to a call beyond the caller's nearest call, on any line or, if it is on the same line, on that.
    select *
    from sequenced
    where exists (
        select 1
        from changes
        where
            changes.caller_key = sequenced.caller_key
            and (
                (
                    (sequenced.earlier_at is null or changes.received_at >= sequenced.earlier_at)
                    and (sequenced.next_received_at is null or changes.received_at <= sequenced.next_received_at)
                )
                or (
                    changes.line_of_business = sequenced.line_of_business
                    and (sequenced.earlier_on_line_at is null or changes.received_at >= sequenced.earlier_on_line_at)
                    and (sequenced.later_on_line_at is null or changes.received_at <= sequenced.later_on_line_at)
                )
            )
    )

),

final as (

    {% for calls, is_changed in [('calls_now', 'touched.is_changed'), (last_build, 'not touched.is_changed')] -%}
    select
        calls.caller_key,
        calls.received_at,
        calls.call_id,
        {%- for column in columns %}
        calls.{{ column }},
        {%- endfor %}
        touched.next_received_at,
        touched.previous_date,
        touched.next_date,
        touched.previous_date_on_line,
        touched.next_date_on_line
    from touched
    inner join {{ calls }} as calls
        on
            touched.caller_key = calls.caller_key
            and touched.received_at = calls.received_at
            and touched.call_id = calls.call_id
    where {{ is_changed }}
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
