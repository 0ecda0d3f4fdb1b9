{#- Rolling windows by grain, in local days. -#}
{% macro rolling_windows() -%}
    {{ return([('rolling_7d', 7), ('rolling_14d', 14), ('rolling_28d', 28)]) }}
{%- endmacro %}

{#- Days (of exactly 24 hours) within which a caller must not call again for a call to be resolved. -#}
{% macro resolution_days() -%}
    {{ return([1, 3, 7, 14, 28]) }}
{%- endmacro %}

{#-
    The calls of a caller before and after a call: columns, of a query over calls that have a caller number and are no test calls. Its
    windows are those of callers_windows. Calls received at the same instant are not later than one another.
-#}
{% macro calls_before_and_after() -%}
    first_value(received_at) over (
        partition by caller_key
        order by received_at range between interval '1 microsecond' following and unbounded following
    ) as next_received_at,
    lag(received_date) over (of_caller) as previous_date,
    lead(received_date) over (of_caller) as next_date,
    lag(received_date) over (of_caller_on_line) as previous_date_on_line,
    lead(received_date) over (of_caller_on_line) as next_date_on_line
{%- endmacro %}

{% macro callers_windows() -%}
    window
        of_caller as (partition by caller_key order by received_at, call_id),
        of_caller_on_line as (partition by caller_key, line_of_business order by received_at, call_id)
{%- endmacro %}

{#- What stands in a table of calls in sequence about changed calls, and about those that are to be written anew. -#}
{% macro calls_that_stand(sequenced, changed, resequenced) -%}
    {%- set touched = '(select call_id from ' ~ changed ~ ' union all select call_id from ' ~ resequenced ~ ')' -%}
    select * from {{ sequenced }} where {{ is_looked_up('call_id', touched) }}
{%- endmacro %}

{#- Delete only what is no longer so: a row that is written anew lies apart from those of its day. -#}
{% macro replace_resequenced(changed, resequenced) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where call_id in (
            select outdated.call_id
            from ({{ calls_that_stand(this, changed, resequenced) }} except select * from {{ resequenced }}) as outdated
        )
    {%- endif -%}
{%- endmacro %}

{#-
    Local days from one date to a later one, and 31 where there is no later one or it lies further off: no period that repeat callers
    are counted in has more than 31 days, so that calls 31 days apart never share one.
-#}
{% macro gap_days(earlier, later) -%}
    coalesce(least({{ later }} - {{ earlier }}, 31), 31)
{%- endmacro %}

{#- True for a call of int_calls_sequenced whose caller called before or after it in the same period; `on` is `_on_line`, or nothing. -#}
{% macro is_repeat_call(call, grain, on) -%}
    date_trunc('{{ grain }}', {{ call }}.received_date) in (
        date_trunc('{{ grain }}', {{ call }}.previous_date{{ on }}), date_trunc('{{ grain }}', {{ call }}.next_date{{ on }})
    )
{%- endmacro %}

{#- True when `days` have passed at as_of since a call ended: before, and while it is open, it cannot be judged. -#}
{% macro is_mature(ended_at, days, as_of) -%}
    coalesce({{ days_of_24_hours_after(ended_at, days) }} <= {{ as_of }}, false)
{%- endmacro %}

{#- True when the caller of a mature call did not call again within `days` of its end, the last instant included. -#}
{% macro is_resolved(ended_at, days, as_of, next_received_at) -%}
    (
        {{ is_mature(ended_at, days, as_of) }}
        and coalesce({{ next_received_at }} > {{ days_of_24_hours_after(ended_at, days) }}, true)
    )
{%- endmacro %}
