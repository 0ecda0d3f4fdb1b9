with source as (

    select * from {{ source('analysis', 'customer_segments') }}

),

renamed as (

    select
        run_id,
        customer_key,
        segment,
        features
    from source

)

select * from renamed
