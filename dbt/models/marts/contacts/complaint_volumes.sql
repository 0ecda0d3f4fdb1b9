{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business', 'channel', 'category_code'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_complaint_periods_changed')) }}",
) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

-- What lies at or after as_of has not happened.
periods as (

    select
        periods.*,
        least(periods.period_end, build.as_of) as known_until
    from {{ ref('int_complaint_periods_changed') }} as periods
    cross join build

),

lines as (

    select * from {{ ref('lines_of_business') }}
    where not is_total

),

complaints as (

    select
        complaints.received_at,
        complaints.escalated_to_csmt_at,
        complaints.resolved_at,
        complaints.channel,
        coalesce(lines.line_of_business, 'UNMAPPED') as line_of_business,
        coalesce(complaints.category_code, 'UNCODED') as category_code
    from {{ ref('stg_complaints__complaints') }} as complaints
    left join lines on complaints.line_of_business = lines.line_of_business

),

placed as (

    select
        periods.grain,
        periods.period_start,
        periods.period_date,
        complaints.line_of_business,
        complaints.channel,
        complaints.category_code,
        complaints.received_at >= periods.period_start as is_received,
        coalesce(
            complaints.escalated_to_csmt_at >= periods.period_start and complaints.escalated_to_csmt_at < periods.known_until, false
        ) as is_escalated,
        coalesce(complaints.resolved_at >= periods.period_start and complaints.resolved_at < periods.known_until, false) as is_resolved,
        coalesce(complaints.resolved_at >= periods.known_until, true) as is_open
    from periods
    inner join complaints on periods.known_until > complaints.received_at

),

counted as (

    select
        grain,
        period_start,
        period_date,
        coalesce(line_of_business, 'ALL') as line_of_business,
        coalesce(channel, 'all') as channel,
        category_code,
        sum(case when is_received then 1 else 0 end)::bigint as complaints_received,
        sum(case when is_escalated then 1 else 0 end)::bigint as escalated_to_csmt,
        sum(case when is_resolved then 1 else 0 end)::bigint as resolved,
        sum(case when is_open then 1 else 0 end)::bigint as open_at_period_end
    from placed
    where is_received or is_escalated or is_resolved or is_open
    group by {{ with_totals_of_lines_and_channels('placed', ['grain', 'period_start', 'period_date', 'category_code']) | indent(8) }}

),

final as (

    select
        counted.*,
        build.build_id as _build_id
    from counted
    cross join build

)

select * from final
