{{ config(materialized='view') }}

with files as (

    select
        interface,
        {{ local_date('file_stamp') }} as stamp_date,
        rows_read,
        rows_quarantined
    from {{ ref('stg_ops__files') }}
    where
        file_stamp is not null
        and state in ('loaded', 'quarantined')

),

missing as (

    select
        interface,
        {{ local_date('emitted_after') }} as first_date,
        {{ local_date('emitted_until') }} as last_date,
        last_missing_sequence - first_missing_sequence + 1 as files_missing
    from {{ ref('int_files_missing') }}

),

days as (

    select
        interface,
        stamp_date,
        sum(rows_read) as rows_read,
        sum(rows_quarantined) as rows_quarantined
    from files
    group by interface, stamp_date

),

periods as (

    {% for grain in kpi_grains() -%}
    select
        interface,
        '{{ grain }}' as grain,
        date_trunc('{{ grain }}', stamp_date::timestamp) as local_start,
        sum(rows_read) as rows_read,
        sum(rows_quarantined) as rows_quarantined,
        max(stamp_date) as last_stamp_date
    from days
    group by interface, local_start
    {{ "union all" if not loop.last }}
    {% endfor %}

),

missing_in_periods as (

    select
        periods.interface,
        periods.grain,
        periods.local_start,
        sum(missing.files_missing)::bigint as files_missing
    from periods
    inner join missing
        on
            periods.interface = missing.interface
            and periods.local_start <= missing.last_date
            and periods.last_stamp_date >= missing.first_date
    group by periods.interface, periods.grain, periods.local_start

),

final as (

    select
        periods.interface,
        periods.grain,
        {{ instant_of_local('periods.local_start') }} as period_start,
        {{ ratio('periods.rows_quarantined', 'periods.rows_read') }} as quarantined_share,
        coalesce(missing_in_periods.files_missing, 0) as missing_files
    from periods
    left join missing_in_periods
        on
            periods.interface = missing_in_periods.interface
            and periods.grain = missing_in_periods.grain
            and periods.local_start = missing_in_periods.local_start

)

select * from final
