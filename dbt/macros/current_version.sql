{#-
    Which version of a record counts: the greatest, then the later emission, then the later file, and, so that the choice never
    depends on the order of arrival, the greater digest. An event has no versions: where one comes with two contents, the later file
    counts. Said once, for the two shapes in which it is asked.
-#}
{% macro version_order(kind='record') -%}
    {%- if kind == 'event' -%}
        {{ return(['_file_position', 'record_hash']) }}
    {%- endif -%}
    {{ return(['record_version', 'emitted_at', '_file_position', 'record_hash']) }}
{%- endmacro %}

{#- True when the version `later` takes precedence over the version `earlier`. -#}
{% macro supersedes(later, earlier, kind='record') -%}
    (
        {%- for column in version_order(kind) %}{{ later }}.{{ column }}{{ ", " if not loop.last }}{% endfor -%}
    ) > (
        {%- for column in version_order(kind) %}{{ earlier }}.{{ column }}{{ ", " if not loop.last }}{% endfor -%}
    )
{%- endmacro %}

{#- Orders versions with the one that counts first. -#}
{% macro newest_first(version, kind='record') -%}
    {% for column in version_order(kind) %}{{ version }}.{{ column }} desc{{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}
