-- The total row is the sum of the lines, UNMAPPED included, for every count of call-backs and e-mails.
{%- set marts = [
    ('annex_b_callbacks', ['callbacks_offered', 'callbacks_generated', 'attempts', 'connected', 'cancelled', 'expired', 'wip_at_period_end']),
    ('email_volumes', ['received', 'replied', 'transferred', 'wip_at_period_end']),
] %}

{% for mart, names in marts -%}
select
    '{{ mart }}' as mart,
    grain,
    period_start
from {{ ref(mart) }}
where {{ written_by_this_build() }}
group by grain, period_start
having
    {%- for name in names %}
    sum(case when line = 'ALL' then {{ name }} else -{{ name }} end) <> 0{{ " or" if not loop.last }}
    {%- endfor %}
{{ "union all" if not loop.last }}
{% endfor %}
