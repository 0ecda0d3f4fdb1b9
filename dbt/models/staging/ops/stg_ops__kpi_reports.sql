with source as (

    select * from {{ source('ops', 'kpi_reports') }}

),

renamed as (

    select
        report_id,
        occasion,
        reported_at,
        as_of,
        build_id
    from source

)

select * from renamed
