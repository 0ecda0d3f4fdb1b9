with source as (

    select * from {{ ref('stg_telephony__queue_snapshot_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_telephony__queue_snapshot_versions') }} as later
            where
                later.snapshot_at = source.snapshot_at
                and later.queue = source.queue
                and {{ supersedes('later', 'source', 'event') }}
        )

)

select * from final
