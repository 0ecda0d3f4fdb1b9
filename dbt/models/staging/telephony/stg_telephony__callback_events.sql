with source as (

    select * from {{ ref('stg_telephony__callback_event_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_telephony__callback_event_versions') }} as later
            where
                later.event_id = source.event_id
                and {{ supersedes('later', 'source', 'event') }}
        )

)

select * from final
