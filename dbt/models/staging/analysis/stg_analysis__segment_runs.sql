with source as (

    select * from {{ source('analysis', 'segment_runs') }}

),

renamed as (

    select
        run_id,
        as_of,
        days,
        customers,
        silhouette,
        ran_at
    from source

)

select * from renamed
