with source as (

    select * from {{ ref('stg_workforce__agent_state_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_workforce__agent_state_versions') }} as later
            where
                later.event_id = source.event_id
                and {{ supersedes('later', 'source', 'event') }}
        )

)

select * from final
