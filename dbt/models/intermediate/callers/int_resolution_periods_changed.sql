{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with instants as (

    select
        hour_start as interval_start,
        spine_start
    from {{ ref('int_resolution_hours_changed') }}

),

final as (

    {% for grain, period_start, period_end in period_bounds() if grain not in ('15min', '30min') -%}
    select
        '{{ grain }}' as grain,
        {{ period_start }} as period_start,
        {{ period_end }} as period_end,
        {{ period_end }} > min(instants.spine_start) as is_in_spine
    from instants
    group by 2, 3
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
