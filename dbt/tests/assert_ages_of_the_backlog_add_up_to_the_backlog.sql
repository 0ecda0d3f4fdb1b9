-- At every whole hour that this build wrote, of its last week, the ages add up to the work in progress at the end of the hour before.
{%- set marts = [
    ('annex_b_callbacks', 'annex_b_callback_wip_age', 'callbacks'), ('email_volumes', 'email_wip_age', 'emails'),
] %}

{% for mart, ages, items in marts -%}
select
    '{{ ages }}' as mart,
    hours.line,
    hours.period_end
from {{ ref(mart) }} as hours
left join {{ ref(ages) }} as ages
    on
        hours.period_end = ages.snapshot_at
        and hours.line = ages.line
        -- Said apart, so that only the hours in question are looked at.
        and ages.snapshot_at > (
            select greatest(min(written.period_start), max(written.period_start) - interval '7 days')
            from {{ ref(mart) }} as written
            where written.grain = 'hour' and written.{{ written_by_this_build() }}
        )
where
    hours.grain = 'hour'
    and hours.{{ written_by_this_build() }}
    and hours.period_end <= (select figures.as_of from {{ ref('figures_as_of') }} as figures)
    and hours.period_start >= (
        select max(latest.period_start) - interval '7 days'
        from {{ ref(mart) }} as latest
        where latest.grain = 'hour'
    )
group by hours.line, hours.period_end, hours.wip_at_period_end
having hours.wip_at_period_end <> coalesce(sum(ages.{{ items }}), 0)
{{ "union all" if not loop.last }}
{% endfor %}
