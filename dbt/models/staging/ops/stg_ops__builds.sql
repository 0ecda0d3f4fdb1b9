with source as (

    select * from {{ source('ops', 'current_build') }}

),

renamed as (

    select
        build_id,
        as_of,
        previous_as_of,
        short_abandon_seconds
    from source

)

select * from renamed
