{#- The states of agents that are staff on duty; the one that is left is offline, and beside it what nobody knows. -#}
{% macro staffed_states() -%}
    {{ return(['available', 'in_call', 'wrap_up', 'hold', 'break', 'training']) }}
{%- endmacro %}

{#- When a state that was entered at an instant is no longer believed, if nothing came from the agent since. -#}
{% macro end_of_longest_shift(entered_at) -%}
    ({{ entered_at }} + interval '{{ var("longest_shift_hours") }} hours')
{%- endmacro %}

{#- Seconds of agents on duty in each state, and what follows from them, added up over the rows of a group. -#}
{% macro summed_agent_seconds() -%}
    {%- for state in staffed_states() %}
    sum({{ state }}_seconds) as {{ state }}_seconds,
    {%- endfor %}
    sum(staffed_seconds) as staffed_seconds,
    sum(ready_seconds) as ready_seconds,
    sum(busy_seconds) as busy_seconds
{%- endmacro %}

{#- Delete from a model by agent and quarter hour what lies in a stretch that this build writes anew. -#}
{% macro replace_changed_stretches() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} as stood
        using {{ ref('int_agent_stretches_changed') }} as changed
        where
            stood.agent_id = changed.agent_id
            and stood.interval_start >= changed.begins
            and stood.interval_start < changed.ends
    {%- endif -%}
{%- endmacro %}
