-- What an agent is busy with lies within the time ready for it, that within the time on duty, which is the sum of its states.
{% for mart in [ref('agent_intervals'), ref('agent_occupancy')] -%}
select _build_id
from {{ mart }}
where
    {{ written_by_this_build() }}
    and (
        busy_seconds > ready_seconds
        or ready_seconds > staffed_seconds
        or staffed_seconds
        <> 0
        {%- for state in staffed_states() %}
        + {{ state }}_seconds
        {%- endfor %}
        or occupancy_rate not between 0 and 1
        or availability_rate not between 0 and 1
    )
{{ "union all" if not loop.last }}
{% endfor %}
