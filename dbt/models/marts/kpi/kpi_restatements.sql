{{ config(materialized='view') }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

reported as (

    select
        figures.*,
        reports.reported_at,
        reports.build_id as reported_build_id,
        row_number() over (
            partition by figures.kpi_code, figures.grain, figures.period_start, figures.line_of_business order by figures.report_id
        ) as place,
        count(*) over (
            partition by figures.kpi_code, figures.grain, figures.period_start, figures.line_of_business
        ) as times_reported
    from {{ ref('stg_ops__kpi_reported_values') }} as figures
    inner join {{ ref('stg_ops__kpi_reports') }} as reports on figures.report_id = reports.report_id
    cross join build
    -- Seen from an instant before a report, what it said has not happened yet.
    where reports.as_of <= build.as_of

),

results as (

    select * from {{ ref('kpi_results') }}

),

kpis as (

    select * from {{ ref('kpis') }}

),

restated as (

    -- Compared with what was reported first: that is the figure that somebody may have paid on.
    select
        reported.kpi_code,
        reported.grain,
        reported.period_start,
        reported.line_of_business,
        results.period_end,
        results.period_date,
        reported.reported_at,
        reported.reported_build_id,
        reported.numerator as reported_numerator,
        reported.denominator as reported_denominator,
        reported.value as reported_value,
        reported.status as reported_status,
        reported.service_credit_points as reported_service_credit_points,
        reported.rule_version as reported_rule_version,
        reported.times_reported,
        results.numerator as current_numerator,
        results.denominator as current_denominator,
        results.value as current_value,
        results.status as current_status,
        results.service_credit_points as current_service_credit_points,
        results.rule_version as current_rule_version
    from reported
    left join results
        on
            reported.kpi_code = results.kpi_code
            and reported.grain = results.grain
            and reported.period_start = results.period_start
            and reported.line_of_business = results.line_of_business
    where
        reported.place = 1
        and (
            reported.numerator is distinct from results.numerator
            or reported.denominator is distinct from results.denominator
            or reported.status is distinct from results.status
            or reported.service_credit_points is distinct from results.service_credit_points
        )

),

caused as (

    -- The files that were taken in since, and that tell about the period: its own days, and those that a KPI looks ahead to.
    select
        restated.kpi_code,
        restated.grain,
        restated.period_start,
        restated.line_of_business,
        files.file_name,
        files.sha256,
        touched.taken_in_by_build_id
    from restated
    inner join kpis
        on
            restated.kpi_code = kpis.kpi_code
            and {{ local_date('restated.period_start') }} >= kpis.valid_from
            and {{ local_date('restated.period_start') }} < coalesce(kpis.valid_to, date '9999-12-31')
    inner join {{ ref('int_files_after_report') }} as touched
        on
            kpis.interface = touched.interface
            and (restated.line_of_business = touched.line_of_business or (kpis.looks_ahead_days > 0 and touched.line_of_business = 'ALL'))
            and restated.reported_build_id < touched.taken_in_by_build_id
            and touched.touched_date >= {{ local_date('restated.period_start') }}
            and touched.touched_date < {{ local_date(end_of_period('restated.grain', 'restated.period_start')) }} + kpis.looks_ahead_days
    inner join {{ ref('stg_ops__files') }} as files on touched.file_id = files.file_id
    group by
        restated.kpi_code, restated.grain, restated.period_start, restated.line_of_business, files.file_name, files.sha256,
        touched.taken_in_by_build_id

),

causes as (

    select
        kpi_code,
        grain,
        period_start,
        line_of_business,
        count(*) as files_count,
        {{ json_list('file_name', 'taken_in_by_build_id, file_name') }} as files
    from caused
    group by kpi_code, grain, period_start, line_of_business

),

final as (

    select
        restated.*,
        restated.current_value - restated.reported_value as value_difference,
        coalesce(causes.files_count, 0) as caused_by_files_count,
        coalesce(causes.files, '[]'::jsonb) as caused_by_files,
        case
            when restated.reported_rule_version <> restated.current_rule_version and causes.files_count > 0 then 'rules_and_records'
            when restated.reported_rule_version <> restated.current_rule_version then 'rules'
            when causes.files_count > 0 then 'records'
            else 'reference_data'
        end as cause
    from restated
    left join causes
        on
            restated.kpi_code = causes.kpi_code
            and restated.grain = causes.grain
            and restated.period_start = causes.period_start
            and restated.line_of_business = causes.line_of_business

)

select * from final
