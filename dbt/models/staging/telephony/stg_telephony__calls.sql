with source as (

    select * from {{ ref('stg_telephony__call_versions') }}

),

final as (

    -- The current version: the greatest version, then the later emission, then the later file, and, so that the choice never
    -- depends on the order of arrival, the greater digest.
    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_telephony__call_versions') }} as later
            where
                later.call_id = source.call_id
                and (later.record_version, later.emitted_at, later._file_position, later.record_hash)
                > (source.record_version, source.emitted_at, source._file_position, source.record_hash)
        )

)

select * from final
