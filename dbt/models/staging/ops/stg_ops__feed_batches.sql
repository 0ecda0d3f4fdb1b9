with source as (

    select * from {{ source('ops', 'feed_batches') }}

),

renamed as (

    select
        feed,
        feed_version,
        state,
        committed_at
    from source

)

select * from renamed
