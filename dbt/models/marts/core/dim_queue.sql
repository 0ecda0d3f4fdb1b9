{{ config(materialized='table', tags=['reference']) }}

with queues as (

    select * from {{ ref('queues') }}

),

final as (

    select
        queue,
        skill,
        line_of_business,
        support_line,
        language,
        valid_from,
        valid_to
    from queues

)

select * from final
