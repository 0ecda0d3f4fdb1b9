with source as (

    select * from {{ ref('stg_complaints__complaint_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_complaints__complaint_versions') }} as later
            where
                later.complaint_id = source.complaint_id
                and {{ supersedes('later', 'source', 'event') }}
        )

)

select * from final
