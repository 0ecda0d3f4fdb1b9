with source as (

    select * from {{ source('analysis', 'segments') }}

),

renamed as (

    select
        run_id,
        segment,
        name as segment_name,
        customers,
        contacts,
        profile
    from source

)

select * from renamed
