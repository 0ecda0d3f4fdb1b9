{{ config(materialized='table', tags=['reference']) }}

with reason_codes as (

    select * from {{ ref('reason_codes') }}

),

final as (

    select
        reason_code,
        description,
        category,
        channel,
        valid_from,
        valid_to
    from reason_codes

)

select * from final
