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
        sha256,
        rows_read,
        rows_before + rows_loaded as rows_loaded,
        rows_quarantined,
        finished_at as loaded_at
    from source

)

select * from renamed
