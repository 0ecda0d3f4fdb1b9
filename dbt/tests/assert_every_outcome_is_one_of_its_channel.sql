-- The outcomes of each channel are a closed list: dashboards may name them all.
select
    contact_id,
    channel,
    outcome
from {{ ref('fct_contacts') }}
where
    {{ written_by_this_build() }}
    and coalesce(channel || ' ' || direction || ' ' || outcome, '') not in (
        {%- for group, outcomes in [
            ('voice inbound', ['ivr_self_served', 'ivr_abandoned', 'forced_disconnect', 'answered', 'abandoned_in_queue', 'queue_flow_out',
                'forced_disconnect_in_queue', 'open']),
            ('webchat inbound', ['completed', 'abandoned_in_queue', 'abandoned_in_chat', 'transferred', 'idle', 'forced_disconnect', 'unknown',
                'open']),
            ('email inbound', ['replied', 'transferred', 'open']),
            ('email outbound', ['sent']),
            ('text inbound', ['received']),
            ('text outbound', ['delivered', 'failed', 'sent']),
            ('callback outbound', ['connected', 'cancelled', 'expired', 'open']),
        ] %}
        {%- set last_group = loop.last %}
        {%- for outcome in outcomes %}
        '{{ group }} {{ outcome }}'{{ "," if not (last_group and loop.last) }}
        {%- endfor %}
        {%- endfor %}
    )
