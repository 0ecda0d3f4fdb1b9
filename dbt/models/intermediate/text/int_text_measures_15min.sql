{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['interval_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('interval_start', \"(select interval_start from \" ~ ref('int_volume_intervals_changed') ~ \" where channel = 'text') as intervals\") }}",
) }}

with {{ contacts_to_count('text') }},

texts as (

    select
        *,
        case when outcome = 'delivered' then {{ seconds_between('received_at', 'ended_at') }} end as delivered_after
    from contacts

),

final as (

    select
        interval_start,
        coalesce(line_of_business, 'ALL') as line_of_business,
        sum(case when direction = 'outbound' then 1 else 0 end)::bigint as texts_sent,
        sum(case when outcome = 'received' then 1 else 0 end)::bigint as texts_received,
        sum(case when outcome = 'delivered' then 1 else 0 end)::bigint as delivered,
        sum(case when outcome = 'failed' then 1 else 0 end)::bigint as failed,
        sum(case when outcome = 'sent' then 1 else 0 end)::bigint as undelivered_yet,
        count(delivered_after) as deliveries_timed,
        coalesce(sum(delivered_after), 0) as delivery_seconds,
        max(delivered_after) as delivery_max_seconds
    from texts
    where not is_test
    group by grouping sets ((interval_start, line_of_business), (interval_start))

)

select * from final
