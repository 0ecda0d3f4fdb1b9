{#-
    How this project builds only what changed. Each build works out once which calls changed (int_calls_changed) and which quarter
    hours that touches (int_intervals_changed, int_periods_changed); every incremental model deletes what these name and appends it
    anew, in one transaction. So a row that should no longer be there goes, which a merge would leave behind.
-#}
{% macro replace_changed(key, changed) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where ({{ key }}) in (select {{ key }} from {{ changed }})
    {%- endif -%}
{%- endmacro %}

{#-
    True where `key` is among those of `changed`. The keys are looked up one by one in an index of `key`, however many rows the planner
    believes each to have: for keys that have a few rows of all history, where it would rather read all of it.
-#}
{% macro is_looked_up(key, changed) -%}
    {{ key }} = any(array(select distinct changed.{{ key }} from {{ changed }} as changed))
{%- endmacro %}

{#- For marts by period: delete the changed periods, and those that now lie wholly before the spine. -#}
{% macro replace_changed_periods(changed=none) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} as stood
        using {{ changed or ref('int_periods_changed') }} as changed
        where stood.grain = changed.grain and stood.period_start = changed.period_start
    {%- endif -%}
{%- endmacro %}

{#-
    An index that dbt's own setting cannot say: over an expression, of another kind, or of some of the rows. It has no name of its own:
    while a table is built anew, the one that it replaces still holds its names.
-#}
{% macro index_on(definition, unique=false) -%}
    {%- if not is_incremental() -%}
        create {{ "unique " if unique }}index on {{ this }} {{ definition }}
    {%- endif -%}
{%- endmacro %}

{#- True when this build writes every row: asked to, or there is nothing yet to add to. -#}
{% macro is_full_build() -%}
    {#- While dbt parses, the answer is no, so that it sees the references of both branches that matter. -#}
    {{ return(execute and (flags.FULL_REFRESH or load_relation(source('last_build', 'fct_calls')) is none)) }}
{%- endmacro %}

{#-
    Tell the planner what a table holds as soon as it is written, rather than when autovacuum comes round: the worklists hold
    a few rows or a year of them, and the plans for the two differ by a thousand times.
-#}
{% macro refresh_statistics() -%}
    {%- if model.config.materialized in ('table', 'incremental') and not is_incremental() -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro %}

{#- For a small table that is worked out whole each time, yet that views stand on: a table made anew would take them with it. -#}
{% macro replace_every_row() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
    {%- endif -%}
{%- endmacro %}
