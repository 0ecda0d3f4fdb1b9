{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods() }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with periods as (

    select * from {{ ref('int_periods_changed') }}
    where is_in_spine

),

lines as (

    select line_of_business from {{ ref('dim_line_of_business') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

quarters as (

    {{ quarters_of_periods() | indent(4) }}

),

within_days as (

    select
        quarters.grain,
        quarters.period_start,
        measures.line_of_business,
        {{ summed_call_measures() | indent(8) }}
    from quarters
    inner join {{ ref('int_call_measures_15min') }} as measures on quarters.interval_start = measures.interval_start
    group by quarters.grain, quarters.period_start, measures.line_of_business

),

days_and_longer as (

    select
        periods.grain,
        periods.period_start,
        measures.line_of_business,
        {{ summed_call_measures() | indent(8) }}
    from periods
    inner join {{ ref('int_call_measures_day') }} as measures
        on
            periods.period_start <= measures.day_start
            and periods.period_end > measures.day_start
    where not periods.is_within_day
    group by periods.grain, periods.period_start, measures.line_of_business

),

measures as (

    select * from within_days
    union all
    select * from days_and_longer

),

dense as (

    select
        periods.grain,
        periods.period_start,
        periods.period_end,
        periods.period_start_local,
        periods.period_date,
        lines.line_of_business,
        periods.is_complete,
        {%- for name in call_measure_counts() %}
        coalesce(measures.{{ name }}, 0) as {{ name }},
        {%- endfor %}
        {%- for name in call_measure_seconds() %}
        coalesce(measures.{{ name }}, 0) as {{ name }},
        {%- endfor %}
        {%- for _, name in call_measure_extremes() %}
        measures.{{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from periods
    cross join lines
    left join measures
        on
            periods.grain = measures.grain
            and periods.period_start = measures.period_start
            and lines.line_of_business = measures.line_of_business

),

final as (

    select
        dense.grain,
        dense.period_start,
        dense.period_end,
        dense.period_start_local,
        dense.period_date,
        extract(hour from dense.period_start_local)::integer as hour_of_day,
        dense.line_of_business,
        dense.is_complete,
        dense.calls_received,
        dense.forced_disconnects,
        dense.calls_offered,
        dense.calls_received - (dense.forced_disconnects + dense.calls_offered) as calls_retained_in_ivr,
        dense.ivr_self_served,
        dense.ivr_abandoned,
        dense.calls_answered,
        dense.answered_within_30s,
        dense.answered_within_70s,
        dense.abandoned_in_queue,
        dense.abandoned_in_queue_short,
        dense.abandoned_at_skill,
        dense.abandoned_awaiting_transfer,
        dense.queue_flow_outs,
        dense.forced_disconnects_in_queue,
        dense.open_calls,
        {{ ratio('dense.ivr_abandoned', 'dense.calls_received') }} as ivr_abandon_rate,
        {{ ratio('dense.abandoned_in_queue', 'dense.calls_offered') }} as queue_abandon_rate,
        {{ ratio('dense.abandoned_at_skill', 'dense.calls_answered') }} as skill_abandon_rate,
        {{ ratio('dense.answered_within_30s', 'dense.calls_answered') }} as gos_30,
        {{ ratio('dense.answered_within_70s', 'dense.calls_answered') }} as gos_70,
        dense.wait_min_seconds,
        dense.wait_max_seconds,
        {{ ratio('dense.wait_seconds', 'dense.calls_answered') }} as wait_avg_seconds,
        dense.wait_min_seconds_abandoned,
        dense.wait_max_seconds_abandoned,
        {{ ratio('dense.wait_seconds_abandoned', 'dense.waits_abandoned') }} as wait_avg_seconds_abandoned,
        least(dense.wait_min_seconds, dense.wait_min_seconds_abandoned) as wait_min_seconds_all,
        greatest(dense.wait_max_seconds, dense.wait_max_seconds_abandoned) as wait_max_seconds_all,
        {{ ratio('dense.wait_seconds + dense.wait_seconds_abandoned', '(dense.calls_answered + dense.waits_abandoned)') }}
            as wait_avg_seconds_all,
        dense.handle_seconds,
        dense.handled_legs,
        dense.legs_wrap_pending,
        {{ ratio('dense.handle_seconds', 'dense.handled_legs') }} as aht_leg_seconds,
        dense.handled_calls,
        {{ ratio('dense.handled_calls_seconds', 'dense.handled_calls') }} as aht_seconds,
        dense.transfers_to_2nd_line,
        dense.transfers_to_2nd_line_warm,
        dense.transfers_to_2nd_line_cold,
        dense.transfers_to_csmt,
        dense.transfers_to_csmt_warm,
        dense.transfers_to_csmt_cold,
        dense.excluded_test_calls,
        dense.calls_without_caller_number,
        dense.wait_seconds,
        dense.wait_seconds_abandoned,
        dense.waits_abandoned,
        dense.handled_calls_seconds,
        dense.abandoned_within_30s,
        dense.abandoned_within_70s,
        build.build_id as _build_id
    from dense
    cross join build

)

select * from final
