-- A day equals the sum of its quarter hours, and its work in progress at the end is that of the last of them.
{%- set marts = [
    ('annex_b_callbacks', ['callbacks_generated', 'attempts', 'connected', 'cancelled', 'expired']),
    ('email_volumes', ['received', 'replied', 'transferred']),
] %}

{% for mart, names in marts -%}
select
    '{{ mart }}' as mart,
    days.line,
    days.period_start
from {{ ref(mart) }} as days
inner join {{ ref(mart) }} as intervals
    on
        days.line = intervals.line
        and days.period_start <= intervals.period_start
        and days.period_end > intervals.period_start
        and intervals.grain = '15min'
        -- Said apart, so that only the days in question are read from the index.
        and intervals.period_start >= (
            select min(first_day.period_start)
            from {{ ref(mart) }} as first_day
            where first_day.grain = 'day' and first_day.{{ written_by_this_build() }}
        )
where
    days.grain = 'day'
    and days.{{ written_by_this_build() }}
group by days.line, days.period_start, days.wip_at_period_end
having
    {%- for name in names %}
    max(days.{{ name }}) <> sum(intervals.{{ name }}) or
    {%- endfor %}
    days.wip_at_period_end <> (array_agg(intervals.wip_at_period_end order by intervals.period_start desc))[1]
{{ "union all" if not loop.last }}
{% endfor %}
