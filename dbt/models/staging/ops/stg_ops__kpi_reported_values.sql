with source as (

    select * from {{ source('ops', 'kpi_reported') }}

),

renamed as (

    select
        kpi_code,
        grain,
        period_start,
        line_of_business,
        report_id,
        numerator,
        denominator,
        value,
        status,
        service_credit_points,
        rule_version
    from source

)

select * from renamed
