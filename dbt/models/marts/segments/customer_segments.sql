{{ config(materialized='view') }}

with customers as (

    select * from {{ ref('stg_analysis__customer_segments') }}

),

segments as (

    select * from {{ ref('stg_analysis__segments') }}

),

final as (

    select
        customers.customer_key,
        customers.run_id,
        customers.segment,
        segments.segment_name,
        {%- for name in segment_features() %}
        {{ json_number('customers.features', name) }} as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from customers
    inner join segments
        on
            customers.run_id = segments.run_id
            and customers.segment = segments.segment

)

select * from final
