{#- Rolling windows by grain, in local days. -#}
{% macro rolling_windows() -%}
    {{ return([('rolling_7d', 7), ('rolling_14d', 14), ('rolling_28d', 28)]) }}
{%- endmacro %}

{#- Days (of exactly 24 hours) within which a caller must not call again for a call to be resolved. -#}
{% macro resolution_days() -%}
    {{ return([1, 3, 7, 14, 28]) }}
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
