{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(volume_periods_changed('webchat')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with {{ components_by_period('webchat', ref('int_webchat_measures_15min'), ref('int_webchat_measures_day')) }},

final as (

    select
        grain,
        period_start,
        period_end,
        period_start_local,
        period_date,
        hour_of_day,
        line_of_business,
        is_complete,
        chats_started,
        chats_queued,
        chats_not_queued,
        chats_accepted,
        accepted_within_60s,
        abandoned_in_queue,
        abandoned_in_chat,
        transferred,
        ended_idle,
        forced_disconnects,
        completed,
        ended_without_reason,
        open_chats,
        wait_min_seconds,
        wait_max_seconds,
        {{ ratio('wait_seconds', 'waits') }} as wait_avg_seconds,
        wait_seconds,
        waits,
        wait_min_seconds_abandoned,
        wait_max_seconds_abandoned,
        {{ ratio('wait_seconds_abandoned', 'waits_abandoned') }} as wait_avg_seconds_abandoned,
        wait_seconds_abandoned,
        waits_abandoned,
        {{ ratio('first_response_seconds', 'first_responses') }} as first_response_avg_seconds,
        first_response_seconds,
        first_responses,
        handle_seconds,
        handled_chats,
        messages_customer,
        messages_agent,
        chats_without_customer,
        chats_in_welsh,
        _build_id
    from dense

)

select * from final
