-- Of webchats and texts the total row is the sum of the lines, UNMAPPED included.
{% for channel, mart in [('webchat', ref('webchat_volumes')), ('text', ref('text_volumes'))] -%}
{%- set names = volume_components(channel).counts + volume_components(channel).seconds -%}
select
    '{{ channel }}' as channel,
    grain,
    period_start
from {{ mart }}
where {{ written_by_this_build() }}
group by grain, period_start
having
    {%- for name in names %}
    sum(case when line_of_business = 'ALL' then {{ name }} else -{{ name }} end) <> 0{{ " or" if not loop.last }}
    {%- endfor %}
{{ "union all" if not loop.last }}
{% endfor %}
