-- The rows of all lines and of all channels are the sums of their parts.
{% for mart, names in [
    (ref('contact_volumes'), ['contacts', 'inbound_contacts', 'answered', 'complaints']),
    (ref('contact_reason_volumes'), ['contacts_primary', 'contacts_any']),
    (ref('complaint_volumes'), ['complaints_received', 'escalated_to_csmt', 'resolved', 'open_at_period_end']),
] -%}
select
    grain,
    period_start
from {{ mart }}
where {{ written_by_this_build() }}
group by grain, period_start
having
    {%- for name in names %}
    sum(case when line_of_business = 'ALL' and channel = 'all' then {{ name }} else 0 end)
    <> sum(case when line_of_business <> 'ALL' and channel <> 'all' then {{ name }} else 0 end)
    or sum(case when line_of_business = 'ALL' then {{ name }} else 0 end) <> sum(case when line_of_business <> 'ALL' then {{ name }} else 0 end)
    or sum(case when channel = 'all' then {{ name }} else 0 end) <> sum(case when channel <> 'all' then {{ name }} else 0 end)
    {{- " or" if not loop.last }}
    {%- endfor %}
{{ "union all" if not loop.last }}
{% endfor %}
