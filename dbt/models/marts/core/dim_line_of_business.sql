{{ config(materialized='table', tags=['reference']) }}

with lines as (

    select * from {{ ref('lines_of_business') }}

),

final as (

    select
        line_of_business,
        description,
        is_total,
        sort_order
    from lines

)

select * from final
