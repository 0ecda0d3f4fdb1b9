{#-
    Grouping sets that add to the rows of each line of business and channel those of all lines, of all channels, and of both. `names` are the
    other columns of the key. Select the two as coalesce(line_of_business, 'ALL') and coalesce(channel, 'all').
-#}
{% macro with_totals_of_lines_and_channels(relation, names) -%}
    grouping sets (
        {%- for parts in [['line_of_business', 'channel'], ['line_of_business'], ['channel'], []] %}
        (
            {%- for name in names %}{{ name }}{{ ", " if not loop.last }}{% endfor -%}
            {%- for part in parts %}, {{ relation }}.{{ part }}{% endfor -%}
        ){{ "," if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
