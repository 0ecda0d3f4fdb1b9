{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with instants as (

    select
        interval_start,
        spine_start
    from {{ ref('int_intervals_changed') }}

),

missing as (

    select * from {{ ref('int_files_missing') }}
    where interface = 'telephony_call'

),

periods as (

    {% for grain, period_start, period_end in period_bounds() -%}
    select
        '{{ grain }}' as grain,
        {{ period_start }} as period_start,
        {{ period_end }} as period_end,
        min(instants.spine_start) as spine_start
    from instants
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
        -- What changed in it may lie before the first call, although the period itself reaches beyond.
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

select * from final
