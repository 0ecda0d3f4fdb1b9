{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['interval_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('interval_start', ref('int_intervals_changed')) }}",
) }}

with calls as (

    select *
    from {{ ref('fct_calls') }}
    {% if is_incremental() -%}
    where interval_start in (select changed.interval_start from {{ ref('int_intervals_changed') }} as changed)
    {%- endif %}

),

real_calls as (

    select
        *,
        case when outcome = 'answered' then wait_seconds end as wait_answered,
        case when outcome = 'abandoned_in_queue' then wait_seconds end as wait_abandoned
    from calls
    where not is_test

),

measures as (

    select
        interval_start,
        coalesce(line_of_business, 'ALL') as line_of_business,
        count(*) as calls_received,
        sum(case when outcome = 'forced_disconnect' then 1 else 0 end) as forced_disconnects,
        sum(case when is_offered then 1 else 0 end) as calls_offered,
        sum(case when outcome = 'ivr_self_served' then 1 else 0 end) as ivr_self_served,
        sum(case when outcome = 'ivr_abandoned' then 1 else 0 end) as ivr_abandoned,
        sum(case when is_answered then 1 else 0 end) as calls_answered,
        sum(case when wait_answered <= 30 then 1 else 0 end) as answered_within_30s,
        sum(case when wait_answered <= 70 then 1 else 0 end) as answered_within_70s,
        sum(case when outcome = 'abandoned_in_queue' then 1 else 0 end) as abandoned_in_queue,
        sum(case when wait_abandoned <= short_abandon_seconds then 1 else 0 end) as abandoned_in_queue_short,
        sum(case when is_abandoned_at_skill then 1 else 0 end) as abandoned_at_skill,
        sum(case when is_abandoned_awaiting_transfer then 1 else 0 end) as abandoned_awaiting_transfer,
        sum(case when outcome = 'queue_flow_out' then 1 else 0 end) as queue_flow_outs,
        sum(case when outcome = 'forced_disconnect_in_queue' then 1 else 0 end) as forced_disconnects_in_queue,
        sum(case when outcome = 'open' then 1 else 0 end) as open_calls,
        sum(handled_legs) as handled_legs,
        sum(legs_wrap_pending) as legs_wrap_pending,
        sum(case when is_handled then 1 else 0 end) as handled_calls,
        sum(transfers_to_2nd_line) as transfers_to_2nd_line,
        sum(transfers_to_2nd_line_warm) as transfers_to_2nd_line_warm,
        sum(transfers_to_2nd_line_cold) as transfers_to_2nd_line_cold,
        sum(transfers_to_csmt) as transfers_to_csmt,
        sum(transfers_to_csmt_warm) as transfers_to_csmt_warm,
        sum(transfers_to_csmt_cold) as transfers_to_csmt_cold,
        sum(case when caller_key is null then 1 else 0 end) as calls_without_caller_number,
        count(wait_abandoned) as waits_abandoned,
        sum(case when wait_abandoned <= 30 then 1 else 0 end) as abandoned_within_30s,
        sum(case when wait_abandoned <= 70 then 1 else 0 end) as abandoned_within_70s,
        sum(handle_seconds) as handle_seconds,
        sum(wait_answered) as wait_seconds,
        sum(wait_abandoned) as wait_seconds_abandoned,
        sum(case when is_handled then handle_seconds end) as handled_calls_seconds,
        min(wait_answered) as wait_min_seconds,
        max(wait_answered) as wait_max_seconds,
        min(wait_abandoned) as wait_min_seconds_abandoned,
        max(wait_abandoned) as wait_max_seconds_abandoned
    from real_calls
    group by grouping sets ((interval_start, line_of_business), (interval_start))

),

test_calls as (

    select
        interval_start,
        coalesce(line_of_business, 'ALL') as line_of_business,
        count(*) as excluded_test_calls
    from calls
    where is_test
    group by grouping sets ((interval_start, line_of_business), (interval_start))

),

final as (

    select
        coalesce(measures.interval_start, test_calls.interval_start) as interval_start,
        coalesce(measures.line_of_business, test_calls.line_of_business) as line_of_business,
        {%- for name in call_measure_counts() %}
        coalesce({{ name }}, 0)::bigint as {{ name }},
        {%- endfor %}
        {%- for name in call_measure_seconds() %}
        coalesce({{ name }}, 0)::numeric as {{ name }},
        {%- endfor %}
        {%- for _, name in call_measure_extremes() %}
        {{ name }}::numeric as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from measures
    full outer join test_calls
        on
            measures.interval_start = test_calls.interval_start
            and measures.line_of_business = test_calls.line_of_business

)

select * from final
