{{ config(materialized='view') }}

with kpis as (

    select * from {{ ref('kpis') }}

),

targets as (

    select * from {{ ref('kpi_targets') }}

),

final as (

    -- A row for as long as both a definition and a target hold.
    select
        kpis.kpi_code,
        kpis.name as kpi_name,
        targets.line_of_business,
        kpis.numerator as numerator_in_words,
        kpis.denominator as denominator_in_words,
        kpis.counted_by,
        kpis.clause,
        kpis.unit,
        kpis.direction,
        kpis.interface,
        targets.target,
        targets.threshold,
        targets.points_missed,
        targets.points_critical,
        kpis.settles_after_days,
        kpis.waits_at_most_days,
        kpis.looks_ahead_days,
        kpis.definition_version,
        targets.target_version,
        greatest(kpis.valid_from, targets.valid_from) as valid_from,
        least(kpis.valid_to, targets.valid_to) as valid_to
    from kpis
    left join targets
        on
            kpis.kpi_code = targets.kpi_code
            and kpis.valid_from < coalesce(targets.valid_to, date '9999-12-31')
            and targets.valid_from < coalesce(kpis.valid_to, date '9999-12-31')

)

select * from final
