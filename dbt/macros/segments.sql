{#- What customers are grouped by; `contactbi segment` writes these names. -#}
{% macro segment_features() -%}
    {{ return([
        'contacts', 'hours_between', 'channels', 'unanswered_share', 'wait_seconds', 'transferred_share', 'same_reason_share', 'complaint',
    ]) }}
{%- endmacro %}
