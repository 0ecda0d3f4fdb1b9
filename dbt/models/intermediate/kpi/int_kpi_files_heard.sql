{{ config(materialized='view') }}

with final as (

    select
        files.interface,
        max(files.file_stamp) as heard_until
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    where files.file_stamp is not null
    group by files.interface

    union all

    -- The ledger of the feed is our own: it is never behind.
    select
        'raw_feed' as interface,
        build.as_of as heard_until
    from {{ ref('stg_ops__builds') }} as build

)

select * from final
