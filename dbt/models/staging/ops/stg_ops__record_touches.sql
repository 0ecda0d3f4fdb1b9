with source as (

    select * from {{ source('ops', 'record_touches') }}

),

renamed as (

    select
        file_id,
        interface,
        record_key
    from source

)

select * from renamed
