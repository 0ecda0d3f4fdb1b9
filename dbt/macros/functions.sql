{#-
    The state of queues and of call-backs at any past instant, as functions for analysts: what the marts know now of what stood then. They
    are made anew with every full build, which may change their columns; an added build leaves them. Their text names the tables, so that
    they outlive tables that are built anew. They run with the rights of who calls them: reading the marts is what it takes.
-#}
{% macro functions_at_an_instant() -%}
{%- if not is_incremental() -%}
{%- set contacts, legs, calls = ref('fct_contacts'), ref('fct_call_legs'), ref('fct_calls') -%}
drop function if exists {{ this.schema }}.callback_wip_at(timestamptz);
create function {{ this.schema }}.callback_wip_at(instant timestamptz)
returns table (line text, callbacks bigint, oldest_requested_at timestamptz, oldest_age_seconds numeric)
language plpgsql stable strict parallel safe as $body$
#variable_conflict use_column
begin
    {{ not_after_as_of() }}
    return query
    select
        lines.line_of_business,
        count(waiting.queued_at),
        min(waiting.queued_at),
        {{ seconds_between('min(waiting.queued_at)', 'instant') }}
    from {{ ref('dim_line_of_business') }} as lines
    left join (
        select contacts.line_of_business, contacts.queued_at
        from {{ contacts }} as contacts
        where {{ is_in_wip('contacts', 'callback', 'instant') }}
    ) as waiting on lines.is_total or waiting.line_of_business = lines.line_of_business
    group by lines.line_of_business;
end
$body$;
comment on function {{ this.schema }}.callback_wip_at(timestamptz) is
'One row per line of business, ALL included: call-backs asked for at or before the instant and not resolved by then, when the oldest of them was asked for, and its age in seconds. An instant after the figures'' as_of is refused.';

drop function if exists {{ this.schema }}.queue_at(timestamptz);
create function {{ this.schema }}.queue_at(instant timestamptz)
returns table (queue text, line text, callers_waiting bigint, oldest_queued_at timestamptz)
language plpgsql stable strict parallel safe as $body$
#variable_conflict use_column
begin
    {{ not_after_as_of() }}
    return query
    with waiting as (
        -- Nearly every wait is over within the hour: one index finds those by the hour, another the few that are longer or not over.
        select legs.call_id, legs.queue, legs.queued_at
        from {{ legs }} as legs
        where
            legs.queued_at > instant - interval '1 hour'
            and legs.queued_at <= instant
            and legs.wait_seconds <= 3600
            and coalesce(legs.answered_at, legs.left_at) > instant
        union all
        select legs.call_id, legs.queue, legs.queued_at
        from {{ legs }} as legs
        where
            {{ waits_long('legs.') }}
            and legs.queued_at <= instant
            and coalesce(legs.answered_at, legs.left_at, 'infinity') > instant
    )
    select waiting.queue, calls.line_of_business, count(*), min(waiting.queued_at)
    from waiting
    inner join {{ calls }} as calls on waiting.call_id = calls.call_id
    where
        not calls.is_test
        -- A call that is over waits nowhere, even when nobody said that its leg was left.
        and coalesce(calls.ended_at, 'infinity') > instant
    group by waiting.queue, calls.line_of_business;
end
$body$;
comment on function {{ this.schema }}.queue_at(timestamptz) is
'One row per queue and line of business in which a caller waited at the instant: queued at or before it, and by then neither answered nor gone. Test calls are left out. An instant after the figures'' as_of is refused.';
{%- endif -%}
{%- endmacro %}

{% macro not_after_as_of() -%}
if instant > (select max(figures.as_of) from {{ this }} as figures) then
        raise exception 'The figures know what happened up to %; ask for that instant or an earlier one.',
            (select max(figures.as_of) from {{ this }} as figures)
            using errcode = 'datetime_field_overflow';
    end if;
{%- endmacro %}

{#- True for a leg that waited for more than an hour, or still waits. The index of queue_at is over these. -#}
{% macro waits_long(leg='') -%}
    ({{ leg }}wait_seconds is null or {{ leg }}wait_seconds > 3600)
{%- endmacro %}
