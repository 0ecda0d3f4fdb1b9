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

{#- What a call in sequence has from the call itself, beside the three columns of its key. -#}
{% macro sequenced_call_columns() -%}
    {{ return([
        'line_of_business', 'received_date', 'interval_start', 'is_answered', 'ended_at', 'record_version', '_file_id', '_line_number',
    ]) }}
{%- endmacro %}

{#- Delete changed calls from where they are no longer: they have another time or caller, have become test calls, or are gone. -#}
{% macro delete_calls_that_moved(changed, resequenced) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where (caller_key, received_at, call_id) in (
            select
                caller_key,
                received_at,
                call_id
            from {{ changed }}
            except
            select
                caller_key,
                received_at,
                call_id
            from {{ resequenced }}
        )
    {%- endif -%}
{%- endmacro %}

{#-
    Gaps between calls are counted up to this many days: no period that repeat callers are counted in has more, so that calls as far
    apart never share one.
-#}
{% macro longest_gap_days() -%}
    {{ return(31) }}
{%- endmacro %}

{#- Local days from one date to a later one, and the longest gap where there is no later one or it lies further off. -#}
{% macro gap_days(earlier, later) -%}
    coalesce(least({{ later }} - {{ earlier }}, {{ longest_gap_days() }}), {{ longest_gap_days() }})
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
