{#-
    Call-backs and e-mails wait to be dealt with in the same way, so that one set of models counts both. For each channel: the interface
    that it comes from, and the mart of its volumes.
-#}
{% macro backlog_channels() -%}
    {{ return([('callback', 'callback_event', 'annex_b_callbacks'), ('email', 'email_message', 'email_volumes')]) }}
{%- endmacro %}

{#-
    From when until when a contact is in the work in progress. One that was resolved before it was asked for never is; one that is not
    resolved stays. fct_contacts has an index over exactly this, for each channel.
-#}
{% macro stay_in_wip(contacts) -%}
    tstzrange({{ contacts }}.queued_at, greatest({{ contacts }}.queued_at, coalesce({{ contacts }}.ended_at, 'infinity')))
{%- endmacro %}

{#- True when a contact of a channel is in the work in progress at an instant, said in the words of that index. -#}
{% macro is_in_wip(contacts, channel, instant) -%}
    {{ contacts }}.channel = '{{ channel }}'
    and {{ contacts }}.queued_at is not null
    and {{ stay_in_wip(contacts) }} @> {{ instant }}
{%- endmacro %}

{#- Contacts of a channel in the work in progress at every whole hour, by line and age: the query of a view. -#}
{% macro wip_by_age(channel, interface, volumes, counted_as) -%}
with figures as (

    select * from {{ ref('figures_as_of') }}

),

missing as (

    select * from {{ ref('int_files_missing') }}
    where interface = '{{ interface }}'

),

lines as (

    select * from {{ ref('dim_line_of_business') }}

),

spine as (

    select min(volumes.period_start) as spine_start
    from {{ ref(volumes) }} as volumes
    where volumes.grain = '15min'

),

hours as (

    select hours.snapshot_at
    from spine
    cross join figures
    cross join lateral {{ whole_hours('spine.spine_start', 'figures.as_of', 'hours') }}

),

by_line as (

    select
        hours.snapshot_at,
        contacts.line_of_business,
        {{ whole_hours_between('contacts.queued_at', 'hours.snapshot_at') }} as age_hours,
        count(*) as items
    from hours
    inner join {{ ref('fct_contacts') }} as contacts
        on
            {{ is_in_wip('contacts', channel, 'hours.snapshot_at') | indent(12) }}
    group by 1, 2, 3

),

final as (

    select
        by_line.snapshot_at,
        lines.line_of_business as line,
        by_line.age_hours,
        not exists (
            select 1
            from missing
            where
                by_line.snapshot_at > missing.emitted_after
                and by_line.snapshot_at <= missing.emitted_until
        ) as is_complete,
        sum(by_line.items)::bigint as {{ counted_as }}
    from by_line
    inner join lines on lines.is_total or by_line.line_of_business = lines.line_of_business
    group by by_line.snapshot_at, lines.line_of_business, by_line.age_hours

)

select * from final
{%- endmacro %}

{#- The volumes of a channel by period, written anew where they changed: the CTEs of a mart, of which the last is `dense`. -#}
{% macro backlog_volumes(channel, events) -%}
periods as (

    select * from {{ ref('int_backlog_periods_changed') }}
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

counted as (

    select
        grain,
        period_start,
        line_of_business,
        {%- for event in events %}
        sum(case when event = '{{ event }}' then items end) as {{ event }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ ref('int_backlog_counts') }}
    where channel = '{{ channel }}'
    group by grain, period_start, line_of_business

),

dense as (

    select
        periods.grain,
        periods.period_start,
        periods.period_end,
        periods.period_start_local,
        periods.period_date,
        extract(hour from periods.period_start_local)::integer as hour_of_day,
        lines.line_of_business as line,
        periods.is_complete,
        {%- for event in events %}
        coalesce(counted.{{ event }}, 0)::bigint as {{ event }},
        {%- endfor %}
        wip.wip as wip_at_period_end,
        build.build_id as _build_id
    from periods
    cross join lines
    cross join build
    left join counted
        on
            periods.grain = counted.grain
            and periods.period_start = counted.period_start
            and lines.line_of_business = counted.line_of_business
    left join {{ ref('int_backlog_wip') }} as wip
        on
            periods.channel = wip.channel
            and least(periods.period_end, build.as_of) = wip.counted_at
            and lines.line_of_business = wip.line_of_business

)
{%- endmacro %}

{#- Completed work of a channel by period and age: the query of a mart. Only ages that there are have a row. -#}
{% macro completed_by_age(channel, event, counted_as) -%}
with build as (

    select * from {{ ref('stg_ops__builds') }}

),

final as (

    select
        counts.grain,
        counts.period_start,
        counts.line_of_business as line,
        counts.age_hours,
        periods.is_complete,
        counts.items::bigint as {{ counted_as }},
        build.build_id as _build_id
    from {{ ref('int_backlog_counts') }} as counts
    cross join build
    inner join {{ ref('int_backlog_periods_changed') }} as periods
        on
            counts.channel = periods.channel
            and counts.grain = periods.grain
            and counts.period_start = periods.period_start
    where
        counts.channel = '{{ channel }}'
        and counts.event = '{{ event }}'
        -- A call-back that nobody asked for has no age.
        and counts.age_hours is not null

)

select * from final
{%- endmacro %}

{#- The periods of a channel that this build writes anew, for replace_changed_periods. -#}
{% macro backlog_periods_changed(channel) -%}
    (select grain, period_start from {{ ref('int_backlog_periods_changed') }} where channel = '{{ channel }}')
{%- endmacro %}
