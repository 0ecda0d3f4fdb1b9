{{ config(materialized='view') }}

with components as (

    select * from {{ ref('int_kpi_components') }}
    union all
    select * from {{ ref('int_kpi_operations') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

kpis as (

    select * from {{ ref('kpis') }}

),

targets as (

    select * from {{ ref('kpi_targets') }}

),

of_calls as (

    select * from {{ ref('kpi_coverage_calls') }}

),

of_files as (

    select * from {{ ref('kpi_coverage_files') }}

),

heard as (

    select * from {{ ref('int_kpi_files_heard') }}

),

defined as (

    select
        components.*,
        {{ local_date('components.period_start') }} as period_date,
        {{ end_of_period('components.grain', 'components.period_start') }} as period_end,
        of_files.quarantined_share,
        -- The raw feed is a ledger of our own, of which nothing can be missing.
        case when kpis.interface <> 'raw_feed' then coalesce(of_files.missing_files, 0) end as missing_files,
        coalesce(of_files.missing_files, 0) = 0 as is_complete,
        heard.heard_until,
        kpis.name as kpi_name,
        kpis.unit,
        kpis.direction,
        kpis.interface,
        kpis.settles_after_days,
        kpis.waits_at_most_days,
        {{ end_of_period('components.grain', 'components.period_start', 'kpis.looks_ahead_days') }} as looks_until,
        kpis.definition_version
    from components
    -- The definition as it stood on the first day of the period. One for each row: of a join over a range of dates PostgreSQL expects next
    -- to nothing, and would then compare all rows with all.
    cross join lateral (
        select *
        from kpis
        where
            kpis.kpi_code = components.kpi_code
            and {{ local_date('components.period_start') }} >= kpis.valid_from
            and {{ local_date('components.period_start') }} < coalesce(kpis.valid_to, date '9999-12-31')
        order by kpis.valid_from
        limit 1
    ) as kpis
    left join heard on kpis.interface = heard.interface
    left join of_files
        on
            kpis.interface = of_files.interface
            and kpis.looks_ahead_days = of_files.looks_ahead_days
            and components.grain = of_files.grain
            and components.period_start = of_files.period_start

),

measured as (

    select
        defined.*,
        build.as_of,
        -- Not before its data have come; but one call that never gets its wrap, or a file that never comes, must not hold it for ever.
        {{ days_of_24_hours_after('defined.period_end', 'defined.settles_after_days') }} <= build.as_of
        and (
            (defined.pending = 0 and defined.is_complete and coalesce(defined.heard_until >= defined.looks_until, false))
            or {{ days_of_24_hours_after('defined.period_end', 'defined.waits_at_most_days') }} <= build.as_of
        ) as is_final,
        {{ ratio('defined.numerator', 'defined.denominator') }} as value,
        coalesce(own.target, of_all.target) as target,
        coalesce(own.threshold, of_all.threshold) as threshold,
        -- A credit is due once, for the line that has points of its own.
        coalesce(own.points_missed, 0) as points_missed,
        coalesce(own.points_critical, 0) as points_critical,
        -- A target of a line's own is another rule than that of all, whatever their numbers.
        defined.definition_version || '.' || coalesce(own.target_version, of_all.target_version, 0)
        || case when own.line_of_business <> 'ALL' then '.' || own.line_of_business else '' end as rule_version
    from defined
    cross join build
    left join targets as own
        on
            defined.kpi_code = own.kpi_code
            and defined.line_of_business = own.line_of_business
            and defined.period_date >= own.valid_from
            and defined.period_date < coalesce(own.valid_to, date '9999-12-31')
    left join targets as of_all
        on
            defined.kpi_code = of_all.kpi_code
            and of_all.line_of_business = 'ALL'
            and defined.period_date >= of_all.valid_from
            and defined.period_date < coalesce(of_all.valid_to, date '9999-12-31')

),

judged as (

    -- Products instead of the quotient: a quotient is rounded, and a target is met or missed exactly.
    select
        *,
        case
            when denominator is null or denominator = 0 or target is null then 'no_data'
            when direction = 'higher_is_better' and numerator >= target * denominator then 'met'
            when direction = 'higher_is_better' and numerator >= threshold * denominator then 'missed'
            when direction = 'lower_is_better' and numerator <= target * denominator then 'met'
            when direction = 'lower_is_better' and numerator <= threshold * denominator then 'missed'
            else 'critical'
        end as status
    from measured

),

in_runs as (

    select
        *,
        -- A period that is still running, or may yet change, neither counts nor ends a run.
        is_final and status in ('missed', 'critical') as is_failure,
        sum(case when is_final and status = 'met' then 1 else 0 end) over (
            partition by kpi_code, grain, line_of_business order by period_start
        ) as periods_met_before
    from judged

),

final as (

    select
        in_runs.kpi_code,
        in_runs.kpi_name,
        in_runs.grain,
        in_runs.period_start,
        in_runs.period_end,
        in_runs.period_date,
        in_runs.line_of_business,
        in_runs.numerator,
        in_runs.denominator,
        in_runs.value,
        in_runs.unit,
        in_runs.target,
        in_runs.threshold,
        in_runs.direction,
        in_runs.status,
        case
            when not in_runs.is_final or in_runs.grain <> 'month' then 0
            when in_runs.status = 'missed' then in_runs.points_missed
            when in_runs.status = 'critical' then in_runs.points_critical
            else 0
        end as service_credit_points,
        case
            when in_runs.is_failure
                then count(*) filter (where in_runs.is_failure) over (
                    partition by in_runs.kpi_code, in_runs.grain, in_runs.line_of_business, in_runs.periods_met_before
                    order by in_runs.period_start
                )
            else 0
        end as consecutive_failures,
        in_runs.is_final,
        in_runs.is_complete,
        in_runs.pending,
        in_runs.rule_version,
        first_reported.value as first_reported_value,
        first_reported.reported_at as first_reported_at,
        of_calls.unmapped_share,
        of_calls.uncoded_share,
        of_calls.without_number_share,
        in_runs.quarantined_share,
        in_runs.missing_files,
        in_runs.as_of,
        in_runs._build_id
    from in_runs
    -- Looked up by its key, row by row.
    left join lateral (
        select
            figures.value,
            reports.reported_at
        from {{ ref('stg_ops__kpi_reported_values') }} as figures
        inner join {{ ref('stg_ops__kpi_reports') }} as reports on figures.report_id = reports.report_id
        where
            figures.kpi_code = in_runs.kpi_code
            and figures.grain = in_runs.grain
            and figures.period_start = in_runs.period_start
            and figures.line_of_business = in_runs.line_of_business
        order by figures.report_id
        limit 1
    ) as first_reported on true
    left join of_calls
        on
            in_runs.interface = 'telephony_call'
            and in_runs.grain = of_calls.grain
            and in_runs.period_start = of_calls.period_start
            and in_runs.line_of_business = of_calls.line_of_business

)

select * from final
