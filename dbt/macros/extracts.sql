{#- The place of a file among all files, as ingestion writes it before each record of the file: stamp and sequence of its name. -#}
{% macro file_position(file_stamp, file_sequence) -%}
    (to_char({{ file_stamp }} at time zone 'UTC', 'YYYYMMDD"T"HH24MISS"Z"') || '_' || lpad({{ file_sequence }}::text, 12, '0')) collate "C"
{%- endmacro %}

{#- Sorts after the position of every record of the file, and before that of any later file. -#}
{% macro end_of_file(position) -%}
    ({{ position }} || '_~')
{%- endmacro %}

{#- The lower of the two middle values of a group, or the one in the middle: a value that is really there. -#}
{% macro lower_median(value) -%}
    percentile_disc(0.5) within group (order by {{ value }})
{%- endmacro %}
