{#-
    From the quarter hours in which something changed to the periods, at every grain, that hold one: what an incremental mart by period
    writes anew. Give the name of a CTE with the columns interval_start and spine_start (the quarter hour in which the mart begins), and
    the interface whose missing files make a period incomplete. Without an interface the CTE says it, row by row, beside the channel:
    columns channel and interface. Writes CTEs, of which the last is `final`.
-#}
{% macro periods_holding(intervals, interface=none) -%}
missing as (

    select * from {{ ref('int_files_missing') }}

),

periods as (

    {% for grain, period_start, period_end in period_bounds() -%}
    select
        {{ "'" ~ interface ~ "'" if interface else "instants.channel, instants.interface" }}{{ " as interface" if interface }},
        '{{ grain }}' as grain,
        {{ period_start }} as period_start,
        {{ period_end }} as period_end,
        min(instants.spine_start) as spine_start
    from {{ intervals }} as instants
    group by {{ "3, 4" if interface else "1, 2, 4, 5" }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
        {{ "periods.channel," if not interface }}
        periods.grain,
        periods.period_start,
        periods.period_end,
        {{ local_time('periods.period_start') }} as period_start_local,
        {{ local_date('periods.period_start') }} as period_date,
        -- What changed in it may lie before the spine, although the period itself reaches beyond.
        periods.period_end > periods.spine_start as is_in_spine,
        -- Less than a day is added up from quarter hours, more from days.
        periods.grain in ('15min', '30min', 'hour') as is_within_day,
        not exists (
            select 1
            from missing
            where
                periods.interface = missing.interface
                and periods.period_start <= missing.emitted_until
                and periods.period_end > missing.emitted_after
        ) as is_complete
    from periods

)
{%- endmacro %}
