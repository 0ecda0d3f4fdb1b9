{#- Channels whose contacts are counted by period, by when each began: the interface that each comes from, and its mart. -#}
{% macro volume_channels() -%}
    {{ return([('webchat', 'webchat_session', 'webchat_volumes'), ('text', 'text_message', 'text_volumes')]) }}
{%- endmacro %}

{#- The components that are added up, and compared, when quarter hours become days and days longer periods. -#}
{% macro volume_components(channel) -%}
    {{ return({
        'webchat': {
            'counts': [
                'chats_started', 'chats_queued', 'chats_not_queued', 'chats_accepted', 'accepted_within_60s', 'abandoned_in_queue',
                'abandoned_in_chat', 'transferred', 'ended_idle', 'forced_disconnects', 'completed', 'ended_without_reason', 'open_chats',
                'waits', 'waits_abandoned', 'first_responses', 'handled_chats', 'messages_customer', 'messages_agent',
                'chats_without_customer', 'chats_in_welsh',
            ],
            'seconds': ['wait_seconds', 'wait_seconds_abandoned', 'first_response_seconds', 'handle_seconds'],
            'extremes': [
                ('min', 'wait_min_seconds'), ('max', 'wait_max_seconds'),
                ('min', 'wait_min_seconds_abandoned'), ('max', 'wait_max_seconds_abandoned'),
            ],
        },
        'text': {
            'counts': ['texts_sent', 'texts_received', 'delivered', 'failed', 'undelivered_yet', 'deliveries_timed'],
            'seconds': ['delivery_seconds'],
            'extremes': [('max', 'delivery_max_seconds')],
        },
    }[channel]) }}
{%- endmacro %}

{#- Components of a channel, added up over the rows of a group. -#}
{% macro summed_components(channel) -%}
    {%- set components = volume_components(channel) -%}
    {%- for name in components.counts %}
    sum({{ name }})::bigint as {{ name }},
    {%- endfor %}
    {%- for name in components.seconds %}
    coalesce(sum({{ name }}), 0)::numeric as {{ name }},
    {%- endfor %}
    {%- for function, name in components.extremes %}
    {{ function }}({{ name }})::numeric as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The periods of a channel that this build writes anew, for replace_changed_periods. -#}
{% macro volume_periods_changed(channel) -%}
    (select grain, period_start from {{ ref('int_volume_periods_changed') }} where channel = '{{ channel }}')
{%- endmacro %}

{#- Contacts of a channel that began in a quarter hour which this build writes anew: the CTE `contacts`. -#}
{% macro contacts_to_count(channel) -%}
contacts as (

    select contacts.*
    from {{ ref('fct_contacts') }} as contacts
    {% if is_incremental() -%}
    -- Looked up by the index over channel and time, quarter hour by quarter hour.
    inner join {{ ref('int_volume_intervals_changed') }} as intervals
        on
            contacts.channel = intervals.channel
            and contacts.received_at >= intervals.interval_start
            and contacts.received_at < intervals.interval_start + interval '15 minutes'
    {% endif -%}
    where contacts.channel = '{{ channel }}'

)
{%- endmacro %}

{#- Components of a channel by day, from those by quarter hour: the query of a model. -#}
{% macro components_by_day(channel, measures_15min) -%}
with days as (

    select
        period_start as day_start,
        period_end as day_end
    from {{ ref('int_volume_periods_changed') }}
    where
        channel = '{{ channel }}'
        and grain = 'day'

),

final as (

    select
        days.day_start,
        measures.line_of_business,
        {{ summed_components(channel) | indent(8) }}
    from days
    inner join {{ measures_15min }} as measures
        on
            days.day_start <= measures.interval_start
            and days.day_end > measures.interval_start
    group by days.day_start, measures.line_of_business

)

select * from final
{%- endmacro %}

{#- Components of a channel by changed period, a row for every line: the CTEs of a mart, of which the last is `dense`. -#}
{% macro components_by_period(channel, measures_15min, measures_day) -%}
{%- set components = volume_components(channel) -%}
periods as (

    select * from {{ ref('int_volume_periods_changed') }}
    where
        channel = '{{ channel }}'
        and is_in_spine

),

lines as (

    select line_of_business from {{ ref('dim_line_of_business') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

measures as (

    {% for relation, starts_at, condition in [
        (measures_15min, 'interval_start', 'periods.is_within_day'), (measures_day, 'day_start', 'not periods.is_within_day'),
    ] -%}
    select
        periods.grain,
        periods.period_start,
        measures.line_of_business,
        {{ summed_components(channel) | indent(8) }}
    from periods
    inner join {{ relation }} as measures
        on
            periods.period_start <= measures.{{ starts_at }}
            and periods.period_end > measures.{{ starts_at }}
    where {{ condition }}
    group by periods.grain, periods.period_start, measures.line_of_business
    {{ "union all" if not loop.last }}
    {% endfor %}
),

dense as (

    select
        periods.grain,
        periods.period_start,
        periods.period_end,
        periods.period_start_local,
        periods.period_date,
        extract(hour from periods.period_start_local)::integer as hour_of_day,
        lines.line_of_business,
        periods.is_complete,
        {%- for name in components.counts + components.seconds %}
        coalesce(measures.{{ name }}, 0) as {{ name }},
        {%- endfor %}
        {%- for _, name in components.extremes %}
        measures.{{ name }},
        {%- endfor %}
        build.build_id as _build_id
    from periods
    cross join lines
    cross join build
    left join measures
        on
            periods.grain = measures.grain
            and periods.period_start = measures.period_start
            and lines.line_of_business = measures.line_of_business

)
{%- endmacro %}
