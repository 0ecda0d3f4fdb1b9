with source as (

    select * from {{ source('ops', 'files') }}

),

renamed as (

    select
        file_id,
        interface,
        platform,
        name as file_name,
        file_stamp,
        file_sequence,
        state,
        sha256
    from source

)

select * from renamed
