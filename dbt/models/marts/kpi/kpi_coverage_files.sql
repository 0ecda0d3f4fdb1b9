{{ config(materialized='view') }}

with files as (

    -- Files that a build has taken in: a view that counted others would change between two builds.
    select
        files.interface,
        {{ local_date('files.file_stamp') }} as stamp_date,
        files.rows_read,
        files.rows_quarantined
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    where files.file_stamp is not null

),

missing as (

    select * from {{ ref('int_files_missing') }}

),

-- What a KPI looks ahead to belongs to the period as its own days do.
reaches as (

    select distinct looks_ahead_days
    from {{ ref('kpis') }}

),

days as (

    select
        interface,
        stamp_date as told_date,
        sum(rows_read) as rows_read,
        sum(rows_quarantined) as rows_quarantined
    from files
    group by interface, stamp_date

),

-- A period may have lost every file of it, so that it is not enough to look where a file is stamped.
missing_days as (

    select
        missing.interface,
        missing.platform,
        missing.first_missing_sequence,
        missing.last_missing_sequence - missing.first_missing_sequence + 1 as files_missing,
        reaches.looks_ahead_days,
        told.day::date as told_date
    from missing
    cross join reaches
    cross join lateral {{ local_days('missing.emitted_after', 'missing.emitted_until', 'reaches.looks_ahead_days') }} as told (day)

),

told as (

    {% for grain in kpi_grains() -%}
    select
        days.interface,
        '{{ grain }}' as grain,
        date_trunc('{{ grain }}', days.told_date::timestamp) as local_start,
        reaches.looks_ahead_days,
        sum(days.rows_read) as rows_read,
        sum(days.rows_quarantined) as rows_quarantined,
        0::numeric as files_missing
    from days
    cross join reaches
    group by days.interface, local_start, reaches.looks_ahead_days
    union all
    select
        interface,
        '{{ grain }}' as grain,
        local_start,
        looks_ahead_days,
        null::numeric as rows_read,
        null::numeric as rows_quarantined,
        sum(files_missing) as files_missing
    from (
        select distinct
            interface,
            platform,
            first_missing_sequence,
            files_missing,
            looks_ahead_days,
            date_trunc('{{ grain }}', told_date::timestamp) as local_start
        from missing_days
    ) as missing_once
    group by interface, local_start, looks_ahead_days
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
        interface,
        grain,
        {{ instant_of_local('local_start') }} as period_start,
        looks_ahead_days,
        {{ ratio('sum(rows_quarantined)', 'sum(rows_read)') }} as quarantined_share,
        sum(files_missing)::bigint as missing_files
    from told
    group by interface, grain, local_start, looks_ahead_days

)

select * from final
