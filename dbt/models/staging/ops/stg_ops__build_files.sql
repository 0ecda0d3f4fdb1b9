with source as (

    select * from {{ source('ops', 'build_files') }}

),

renamed as (

    select
        file_id,
        build_id
    from source

)

select * from renamed
