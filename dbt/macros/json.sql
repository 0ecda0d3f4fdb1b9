{#- One row per object of a JSON list, with the named fields typed. `fields` is a list of (name, type). -#}
{% macro json_objects(column, fields, alias) -%}
    jsonb_to_recordset({{ column }}) as {{ alias }} (
        {%- for name, type in fields %}{{ name }} {{ type }}{{ ", " if not loop.last }}{% endfor -%}
    )
{%- endmacro %}

{#- One row per text of a JSON list: column `value`. -#}
{% macro json_texts(column, alias) -%}
    jsonb_array_elements_text({{ column }}) as {{ alias }} (value)
{%- endmacro %}

{#- The first text of a JSON list, or null. -#}
{% macro json_first_text(column) -%}
    ({{ column }} ->> 0)
{%- endmacro %}

{#- One row per text of a JSON list, with its place in it from 1: columns `value` and `place`. -#}
{% macro json_texts_in_order(column, alias) -%}
    jsonb_array_elements_text({{ column }}) with ordinality as {{ alias }} (value, place)
{%- endmacro %}

{#- The texts of a group as a JSON list, ordered; null for a group without any. -#}
{% macro json_list(value, order) -%}
    jsonb_agg({{ value }} order by {{ order }})
{%- endmacro %}

{#- A number in a JSON object, by its name. -#}
{% macro json_number(column, name) -%}
    ({{ column }} ->> '{{ name }}')::numeric
{%- endmacro %}

{#- True when a JSON list holds a text. -#}
{% macro json_list_holds(list, text) -%}
    {{ list }} @> to_jsonb({{ text }})
{%- endmacro %}
