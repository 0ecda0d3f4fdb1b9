with source as (

    select * from {{ ref('stg_email__message_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_email__message_versions') }} as later
            where
                later.message_id = source.message_id
                and {{ supersedes('later', 'source') }}
        )

)

select * from final
