{#-
    From the quarter hours in which something changed to the periods, at every grain, that hold one: what an incremental mart by period
    writes anew. Give the name of a CTE with the columns interval_start and spine_start (the quarter hour in which the mart begins), and
    the interface whose missing files make a period incomplete. Writes CTEs, of which the last is `final`.
-#}
{% macro periods_holding(intervals, interface) -%}
missing as (

    select * from {{ ref('int_files_missing') }}
    where interface = '{{ interface }}'

),

periods as (

    {% for grain, period_start, period_end in period_bounds() -%}
    select
        '{{ grain }}' as grain,
        {{ period_start }} as period_start,
        {{ period_end }} as period_end,
        min(instants.spine_start) as spine_start
    from {{ intervals }} as instants
    group by 2, 3
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
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
            where periods.period_start <= missing.emitted_until and periods.period_end > missing.emitted_after
        ) as is_complete
    from periods

)
{%- endmacro %}
