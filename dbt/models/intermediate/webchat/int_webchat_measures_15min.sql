{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['interval_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('interval_start', \"(select interval_start from \" ~ ref('int_volume_intervals_changed') ~ \" where channel = 'webchat') as intervals\") }}",
) }}

with {{ contacts_to_count('webchat') }},

chats as (

    select
        contacts.*,
        sessions.first_response_seconds,
        sessions.messages_customer,
        sessions.messages_agent,
        case when contacts.is_answered then contacts.wait_seconds end as wait_accepted,
        case when contacts.outcome = 'abandoned_in_queue' and not contacts.is_answered then contacts.wait_seconds end as wait_abandoned
    from contacts
    inner join {{ ref('int_webchat_sessions') }} as sessions on contacts.contact_id = sessions.contact_id

),

final as (

    select
        interval_start,
        coalesce(line_of_business, 'ALL') as line_of_business,
        count(*) as chats_started,
        count(queued_at) as chats_queued,
        sum(case when queued_at is null then 1 else 0 end)::bigint as chats_not_queued,
        sum(case when is_answered then 1 else 0 end)::bigint as chats_accepted,
        sum(case when wait_accepted <= 60 then 1 else 0 end)::bigint as accepted_within_60s,
        {%- for outcome, name in [
            ('abandoned_in_queue', 'abandoned_in_queue'), ('abandoned_in_chat', 'abandoned_in_chat'), ('transferred', 'transferred'),
            ('idle', 'ended_idle'), ('forced_disconnect', 'forced_disconnects'), ('completed', 'completed'),
            ('unknown', 'ended_without_reason'), ('open', 'open_chats'),
        ] %}
        sum(case when outcome = '{{ outcome }}' then 1 else 0 end)::bigint as {{ name }},
        {%- endfor %}
        count(wait_accepted) as waits,
        count(wait_abandoned) as waits_abandoned,
        count(first_response_seconds) as first_responses,
        count(handle_seconds) as handled_chats,
        coalesce(sum(messages_customer), 0)::bigint as messages_customer,
        coalesce(sum(messages_agent), 0)::bigint as messages_agent,
        sum(case when customer_key is null then 1 else 0 end)::bigint as chats_without_customer,
        sum(case when language = 'cy' then 1 else 0 end)::bigint as chats_in_welsh,
        coalesce(sum(wait_accepted), 0) as wait_seconds,
        coalesce(sum(wait_abandoned), 0) as wait_seconds_abandoned,
        coalesce(sum(first_response_seconds), 0) as first_response_seconds,
        coalesce(sum(handle_seconds), 0) as handle_seconds,
        min(wait_accepted) as wait_min_seconds,
        max(wait_accepted) as wait_max_seconds,
        min(wait_abandoned) as wait_min_seconds_abandoned,
        max(wait_abandoned) as wait_max_seconds_abandoned
    from chats
    where not is_test
    group by grouping sets ((interval_start, line_of_business), (interval_start))

)

select * from final
