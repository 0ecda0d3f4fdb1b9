with calls as (

    select * from {{ ref('annex_b_calls') }}

),

final as (

    select
        grain,
        period_start,
        period_date as local_date,
        line_of_business,
        is_complete,
        calls_received,
        forced_disconnects,
        calls_offered,
        calls_retained_in_ivr,
        ivr_self_served,
        ivr_abandoned,
        calls_answered,
        answered_within_30s,
        answered_within_70s,
        abandoned_in_queue,
        abandoned_in_queue_short,
        abandoned_at_skill,
        abandoned_awaiting_transfer,
        queue_flow_outs,
        forced_disconnects_in_queue,
        open_calls,
        ivr_abandon_rate,
        queue_abandon_rate,
        skill_abandon_rate,
        gos_30,
        gos_70,
        wait_min_seconds,
        wait_max_seconds,
        wait_avg_seconds,
        wait_min_seconds_abandoned,
        wait_max_seconds_abandoned,
        wait_avg_seconds_abandoned,
        wait_min_seconds_all,
        wait_max_seconds_all,
        wait_avg_seconds_all,
        handle_seconds,
        handled_legs,
        legs_wrap_pending,
        aht_leg_seconds,
        handled_calls,
        aht_seconds,
        transfers_to_2nd_line,
        transfers_to_2nd_line_warm,
        transfers_to_2nd_line_cold,
        transfers_to_csmt,
        transfers_to_csmt_warm,
        transfers_to_csmt_cold,
        excluded_test_calls,
        calls_without_caller_number,
        wait_seconds,
        wait_seconds_abandoned,
        waits_abandoned,
        handled_calls_seconds,
        abandoned_within_30s,
        abandoned_within_70s,
        _build_id as build_id
    from calls

)

select * from final
