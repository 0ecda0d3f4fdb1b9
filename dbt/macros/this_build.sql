{#- True for a row that the latest build wrote: tests look at these, so that their cost grows with what is new. -#}
{% macro written_by_this_build() -%}
    _build_id = (select max(build.build_id) from {{ ref('stg_ops__builds') }} as build)
{%- endmacro %}
