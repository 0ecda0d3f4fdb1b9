with source as (

    select * from {{ source('ops', 'feed_files') }}

),

renamed as (

    select
        feed,
        file_id,
        feed_version
    from source

)

select * from renamed
