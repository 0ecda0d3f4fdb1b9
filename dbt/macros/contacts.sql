{#- The key of a contact over all channels, from its channel and its key on its own platform. -#}
{% macro contact_id(channel, source_id) -%}
    '{{ channel }}:' || {{ source_id }}
{%- endmacro %}

{#- The contacts of one channel that this build writes anew: column `source_id`. -#}
{% macro changed_contacts(channel) -%}
    select contacts.source_id
    from {{ ref('int_contact_ids_changed') }} as contacts
    where contacts.channel = '{{ channel }}'
{%- endmacro %}

{#-
    The current record of each contact of a channel that this build writes anew. A full build reads them all at once; otherwise there is
    one look-up by key for each, so that the cost does not grow with history. For records that are no contacts give `changed`: a query
    with the column source_id.
-#}
{% macro current_records(is_full, channel, current, versions, key, kind='record', changed=none) -%}
    {%- if is_full -%}
    select * from {{ current }}
    {%- else -%}
    select records.*
    from ({{ changed or changed_contacts(channel) }}) as changed
    cross join lateral (
        select versions.*
        from {{ versions }} as versions
        where versions.{{ key }} = changed.source_id
        order by {{ newest_first('versions', kind) }}
        limit 1
    ) as records
    {%- endif -%}
{%- endmacro %}

{#- The current events of each call-back that this build writes anew, likewise. -#}
{% macro current_callback_events(is_full, current, versions) -%}
    {%- if is_full -%}
    select * from {{ current }}
    {%- else -%}
    select events.*
    from ({{ changed_contacts('callback') }}) as changed
    cross join lateral (
        select versions.*
        from {{ versions }} as versions
        where
            versions.callback_id = changed.source_id
            and not exists (
                select 1
                from {{ versions }} as later
                where
                    later.event_id = versions.event_id
                    and {{ supersedes('later', 'versions', 'event') }}
            )
    ) as events
    {%- endif -%}
{%- endmacro %}

{#- The columns that every channel brings to fct_contacts, in order. -#}
{% macro contact_columns() -%}
    {{ return([
        'channel', 'source_id', 'direction', 'line_of_business', 'language', 'customer_key', 'customer_key_missing_reason', 'is_test',
        'received_at', 'queued_at', 'answered_at', 'ended_at', 'wait_seconds', 'handle_seconds', 'outcome', 'agent_id',
        'is_transferred', 'transferred_to', 'transfer_mode', 'primary_reason_code', 'reason_codes', 'related_contact_id',
        'conversation_id', 'is_complaint', 'last_event_at', 'record_version', 'emitted_at', '_file_id', '_line_number',
    ]) }}
{%- endmacro %}

{#- Of each period of the CTE `periods` and each channel, and of all channels together, whether every file that tells of it is there. -#}
{% macro completeness_of_channels() -%}
select
    grain,
    period_start,
    period_date,
    coalesce(channel, 'all') as channel,
    bool_and(is_complete) as is_complete
from periods
group by grouping sets ((grain, period_start, period_date, channel), (grain, period_start, period_date))
{%- endmacro %}
