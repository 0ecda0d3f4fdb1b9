{#-
    Which version of a record counts: the greatest, then the later emission, then the later file, and, so that the choice never
    depends on the order of arrival, the greater digest. Said once, for the two shapes in which it is asked.
-#}
{% macro version_order() -%}
    {{ return(['record_version', 'emitted_at', '_file_position', 'record_hash']) }}
{%- endmacro %}

{#- True when the version `later` takes precedence over the version `earlier`. -#}
{% macro supersedes(later, earlier) -%}
    (
        {%- for column in version_order() %}{{ later }}.{{ column }}{{ ", " if not loop.last }}{% endfor -%}
    ) > (
        {%- for column in version_order() %}{{ earlier }}.{{ column }}{{ ", " if not loop.last }}{% endfor -%}
    )
{%- endmacro %}

{#- Orders versions with the one that counts first. -#}
{% macro newest_first(version) -%}
    {% for column in version_order() %}{{ version }}.{{ column }} desc{{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}
