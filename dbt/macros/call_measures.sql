{#-
    The components of the call measures: what is added up, and what is compared, when quarter hours become days and days become
    longer periods. One list, so that every grain is made from the same components and no ratio is ever averaged.
-#}
{% macro call_measure_counts() -%}
    {{ return([
        'calls_received', 'forced_disconnects', 'calls_offered', 'ivr_self_served', 'ivr_abandoned', 'calls_answered',
        'answered_within_30s', 'answered_within_70s', 'abandoned_in_queue', 'abandoned_in_queue_short', 'abandoned_at_skill',
        'abandoned_awaiting_transfer', 'queue_flow_outs', 'forced_disconnects_in_queue', 'open_calls', 'handled_legs',
        'legs_wrap_pending', 'handled_calls', 'transfers_to_2nd_line', 'transfers_to_2nd_line_warm', 'transfers_to_2nd_line_cold',
        'transfers_to_csmt', 'transfers_to_csmt_warm', 'transfers_to_csmt_cold', 'excluded_test_calls', 'calls_without_caller_number',
        'waits_abandoned', 'abandoned_within_30s', 'abandoned_within_70s',
    ]) }}
{%- endmacro %}

{% macro call_measure_seconds() -%}
    {{ return(['handle_seconds', 'wait_seconds', 'wait_seconds_abandoned', 'handled_calls_seconds']) }}
{%- endmacro %}

{% macro call_measure_extremes() -%}
    {{ return([
        ('min', 'wait_min_seconds'), ('max', 'wait_max_seconds'),
        ('min', 'wait_min_seconds_abandoned'), ('max', 'wait_max_seconds_abandoned'),
    ]) }}
{%- endmacro %}

{#- Add components up over the rows of a group. -#}
{% macro summed_call_measures() -%}
    {%- for name in call_measure_counts() %}
    coalesce(sum({{ name }}), 0)::bigint as {{ name }},
    {%- endfor %}
    {%- for name in call_measure_seconds() %}
    coalesce(sum({{ name }}), 0) as {{ name }},
    {%- endfor %}
    {%- for function, name in call_measure_extremes() %}
    {{ function }}({{ name }}) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- A ratio as numeric, null when there is nothing to divide by. -#}
{% macro ratio(numerator, denominator) -%}
    ({{ numerator }})::numeric / nullif({{ denominator }}, 0)
{%- endmacro %}

{#- Percentiles of the time to abandon. -#}
{% macro abandon_percentiles() -%}
    {{ return([5, 25, 50, 75, 95, 99]) }}
{%- endmacro %}

{#-
    The place, from 1, of a percentile among some values in order: the nearest rank. So a percentile is a value that is really there,
    the least one that is not exceeded by that share of the values.
-#}
{% macro nearest_rank(percentile, values_count) -%}
    ceil({{ percentile }} * {{ values_count }} / 100.0)
{%- endmacro %}
