{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['kpi_code', 'grain', 'period_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed_kpi_periods() }}",
) }}

with final as (

    {% for kpi in kpis_of_marts() -%}
    select
        '{{ kpi.code }}' as kpi_code,
        marts.grain,
        marts.period_start,
        marts.{{ kpi.line }}{{ ' as line_of_business' if kpi.line != 'line_of_business' }},
        ({{ kpi.numerator }})::numeric as numerator,
        ({{ kpi.denominator }})::numeric as denominator,
        ({{ kpi.pending }})::bigint as pending,
        marts._build_id
    from {{ kpi.mart }} as marts
    {% if is_incremental() -%}
    inner join {{ kpi.changed }} as changed
        on
            marts.grain = changed.grain
            and marts.period_start = changed.period_start
    {% endif -%}
    where
        marts.{{ is_kpi_grain() }}
        {%- if kpi.where %}
        and marts.{{ kpi.where }}
        {%- endif %}
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
