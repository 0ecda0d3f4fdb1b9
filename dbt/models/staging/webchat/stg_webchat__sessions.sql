with source as (

    select * from {{ ref('stg_webchat__session_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_webchat__session_versions') }} as later
            where
                later.chat_id = source.chat_id
                and {{ supersedes('later', 'source') }}
        )

)

select * from final
