-- Of webchats and texts a day equals the sum of its quarter hours, for every count and every sum of seconds.
{% for channel, mart in [('webchat', ref('webchat_volumes')), ('text', ref('text_volumes'))] -%}
{%- set names = volume_components(channel).counts + volume_components(channel).seconds -%}
select
    '{{ channel }}' as channel,
    days.period_start,
    days.line_of_business
from {{ mart }} as days
inner join {{ mart }} as intervals
    on
        days.line_of_business = intervals.line_of_business
        and days.period_start <= intervals.period_start
        and days.period_end > intervals.period_start
        and intervals.grain = '15min'
where
    days.{{ written_by_this_build() }}
    and days.grain = 'day'
group by days.period_start, days.line_of_business
having
    {%- for name in names %}
    max(days.{{ name }}) <> sum(intervals.{{ name }}){{ " or" if not loop.last }}
    {%- endfor %}
{{ "union all" if not loop.last }}
{% endfor %}
