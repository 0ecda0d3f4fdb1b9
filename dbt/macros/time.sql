{#- The handful of macros that hold what only PostgreSQL says in this way: zones, series, durations. Another engine overrides these. -#}

{#- The London wall-clock time (no zone) of an instant. -#}
{% macro local_time(instant) -%}
    ({{ instant }} at time zone 'Europe/London')
{%- endmacro %}

{#- The London date of an instant. -#}
{% macro local_date(instant) -%}
    ({{ instant }} at time zone 'Europe/London')::date
{%- endmacro %}

{#- The instant of a London wall-clock time. -#}
{% macro instant_of_local(local_time) -%}
    ({{ local_time }} at time zone 'Europe/London')
{%- endmacro %}

{#- The start of the quarter hour that holds an instant. Offsets in London are whole hours, so that cutting in UTC cuts local time too. -#}
{% macro interval_of(instant) -%}
    date_bin('15 minutes', {{ instant }}, timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}

{#- The end of the quarter hour in which what ends at an instant passed. -#}
{% macro interval_end_of(instant) -%}
    ({{ interval_of(instant ~ " - interval '1 microsecond'") }} + interval '15 minutes')
{%- endmacro %}

{#- Exact seconds from one instant to a later one, to the microsecond. -#}
{% macro seconds_between(earlier, later) -%}
    extract(epoch from {{ later }} - {{ earlier }})
{%- endmacro %}

{#- The instant `days` times exactly 24 hours after another: not the same time of day when the clocks change in between. -#}
{% macro days_of_24_hours_after(instant, days) -%}
    ({{ instant }} + {{ days }} * interval '24 hours')
{%- endmacro %}

{#- `instant` when it has happened at as_of, else null. -#}
{% macro happened(instant, as_of) -%}
    case when {{ instant }} <= {{ as_of }} then {{ instant }} end
{%- endmacro %}

{#- One row per quarter hour in [first, last): column `interval_start`. -#}
{% macro quarter_hours(first, last) -%}
    generate_series({{ interval_of(first) }}, {{ last }} - interval '1 microsecond', interval '15 minutes')
{%- endmacro %}

{#- The start of the two-hour slot that holds an instant: slots begin at even hours UTC, as the WIP extract is promised. -#}
{% macro two_hour_slot_of(instant) -%}
    date_bin('2 hours', {{ instant }}, timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}

{#- One row per two-hour slot in [first, last): column `slot_start`. -#}
{% macro two_hour_slots(first, last) -%}
    generate_series({{ two_hour_slot_of(first) }}, {{ last }} - interval '1 microsecond', interval '2 hours')
{%- endmacro %}

{#-
    The grains, and for each the start and the end of the period that holds the quarter hour `instant`: both instants (UTC).
    From a day upwards a period is cut in local time.
-#}
{% macro period_bounds() -%}
    {%- set bounds = [] -%}
    {%- for grain, step in [('15min', '15 minutes'), ('30min', '30 minutes'), ('hour', '1 hour')] -%}
        {%- set start = "date_bin('" ~ step ~ "', instants.interval_start, timestamptz '2000-01-01 00:00:00+00')" -%}
        {%- do bounds.append((grain, start, start ~ " + interval '" ~ step ~ "'")) -%}
    {%- endfor -%}
    {%- for grain, step in [('day', '1 day'), ('week', '7 days'), ('month', '1 month'), ('quarter', '3 months'), ('year', '1 year')] -%}
        {%- set local_start = "date_trunc('" ~ grain ~ "', " ~ local_time('instants.interval_start') ~ ")" -%}
        {%- do bounds.append((grain, instant_of_local(local_start), instant_of_local("(" ~ local_start ~ " + interval '" ~ step ~ "')"))) -%}
    {%- endfor -%}
    {{ return(bounds) }}
{%- endmacro %}

{#-
    The instant at which the period of a row ends, or so many local days later: `grain`, `period_start` and `days_after` are columns, and
    the grain is a day or longer.
-#}
{% macro end_of_period(grain, period_start, days_after='0') -%}
    {{ instant_of_local("(" ~ local_time(period_start) ~ " + case " ~ grain ~ " when 'day' then interval '1 day' when 'week' then interval '7 days'"
        ~ " when 'month' then interval '1 month' when 'quarter' then interval '3 months' else interval '1 year' end"
        ~ " + " ~ days_after ~ " * interval '1 day')") }}
{%- endmacro %}

{#- The first whole hour at or after an instant. Whole hours of London are whole hours in UTC. -#}
{% macro next_whole_hour(instant) -%}
    date_bin('1 hour', {{ instant }} + interval '59 minutes 59.999999 seconds', timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}

{#- One row per whole hour in [first, last], both whole hours or not: column `snapshot_at`. -#}
{% macro whole_hours(first, last, alias) -%}
    generate_series({{ next_whole_hour(first) }}, {{ last }}, interval '1 hour') as {{ alias }} (snapshot_at)
{%- endmacro %}

{#- Whole hours from one instant to a later one; below zero when it is earlier. -#}
{% macro whole_hours_between(earlier, later) -%}
    floor({{ seconds_between(earlier, later) }} / 3600)::integer
{%- endmacro %}

{#- The stretches [from, to) of a group put together where they meet: one row each, with the columns `begins` and `ends`. -#}
{% macro joined_stretches(stretches, begins, ends, key) -%}
    select
        joined.{{ key }},
        lower(joined.stretch) as begins,
        upper(joined.stretch) as ends
    from (
        select
            {{ key }},
            unnest(range_agg(tstzrange({{ begins }}, {{ ends }}))) as stretch
        from {{ stretches }}
        group by {{ key }}
    ) as joined
{%- endmacro %}

{#- One row per London date from that of one instant, or so many days before it, to that of a later one, both included: a timestamp at its midnight. -#}
{% macro local_days(first, last, days_before='0') -%}
    generate_series(({{ local_date('(' ~ first ~ ')') }} - {{ days_before }})::timestamp, {{ local_date('(' ~ last ~ ')') }}::timestamp, interval '1 day')
{%- endmacro %}
