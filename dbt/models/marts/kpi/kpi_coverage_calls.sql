{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['grain', 'period_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed_periods() }}",
) }}

with calls as (

    select
        calls.*,
        -- What the total and the unmapped line of the same period hold.
        max(case when calls.line_of_business = 'ALL' then calls.calls_received end)
            over (partition by calls.grain, calls.period_start) as received_in_all,
        max(case when calls.line_of_business = 'UNMAPPED' then calls.calls_received end)
            over (partition by calls.grain, calls.period_start) as received_unmapped
    from {{ ref('annex_b_calls') }} as calls
    inner join {{ ref('int_periods_changed') }} as changed
        on
            calls.grain = changed.grain
            and calls.period_start = changed.period_start
    where calls.{{ is_kpi_grain() }}

),

uncoded as (

    select
        grain,
        period_start,
        line as line_of_business,
        calls_primary
    from {{ ref('annex_b_call_types') }}
    where
        reason_code = 'UNCODED'
        and {{ is_kpi_grain() }}

),

final as (

    select
        calls.grain,
        calls.period_start,
        calls.line_of_business,
        {{ ratio('calls.received_unmapped', 'calls.received_in_all') }} as unmapped_share,
        {{ ratio('coalesce(uncoded.calls_primary, 0)', 'calls.calls_answered') }} as uncoded_share,
        {{ ratio('calls.calls_without_caller_number', 'calls.calls_received') }} as without_number_share,
        calls._build_id
    from calls
    left join uncoded
        on
            calls.grain = uncoded.grain
            and calls.period_start = uncoded.period_start
            and calls.line_of_business = uncoded.line_of_business

)

select * from final
