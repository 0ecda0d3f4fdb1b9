with source as (

    select * from {{ ref('stg_telephony__call_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_telephony__call_versions') }} as later
            where
                later.call_id = source.call_id
                and {{ supersedes('later', 'source') }}
        )

)

select * from final
