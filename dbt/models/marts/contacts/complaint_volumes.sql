{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business', 'channel', 'category_code'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_complaint_periods_changed')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
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
    where periods.is_in_spine

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

-- In every period each line has at least the row of what has no category, over all channels.
nothing as (

    select
        periods.grain,
        periods.period_start,
        periods.period_date,
        lines.line_of_business,
        'all' as channel,
        'UNCODED' as category_code,
        0::bigint as complaints_received,
        0::bigint as escalated_to_csmt,
        0::bigint as resolved,
        0::bigint as open_at_period_end
    from periods
    cross join {{ ref('dim_line_of_business') }} as lines
    where
        not exists (
            select 1
            from counted
            where
                counted.grain = periods.grain
                and counted.period_start = periods.period_start
                and counted.line_of_business = lines.line_of_business
                and counted.channel = 'all'
                and counted.category_code = 'UNCODED'
        )

),

rows_of_periods as (

    select * from counted
    union all
    select * from nothing

),

final as (

    select
        rows_of_periods.grain,
        rows_of_periods.period_start,
        rows_of_periods.period_date,
        rows_of_periods.line_of_business,
        rows_of_periods.channel,
        rows_of_periods.category_code,
        periods.is_complete,
        rows_of_periods.complaints_received,
        rows_of_periods.escalated_to_csmt,
        rows_of_periods.resolved,
        rows_of_periods.open_at_period_end,
        build.build_id as _build_id
    from rows_of_periods
    cross join build
    inner join periods
        on
            rows_of_periods.grain = periods.grain
            and rows_of_periods.period_start = periods.period_start

)

select * from final
