{{ config(materialized='view') }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

files as (

    select
        files.file_id,
        files.loaded_at
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    where
        files.interface = 'telephony_call'
        and files.state = 'loaded'
        and files.rows_loaded > 0

),

published as (

    select
        feed_files.file_id,
        feed_batches.committed_at
    from {{ ref('stg_ops__feed_files') }} as feed_files
    inner join {{ ref('stg_ops__feed_batches') }} as feed_batches
        on
            feed_files.feed = feed_batches.feed
            and feed_files.feed_version = feed_batches.feed_version
    cross join build
    where
        feed_files.feed = 'raw/calls'
        and feed_batches.state = 'committed'
        -- What was published after as_of had not been: the same as_of reads the same later.
        and feed_batches.committed_at <= build.as_of

),

final as (

    select
        files.file_id,
        files.loaded_at,
        {{ local_date('files.loaded_at') }} as loaded_date,
        published.committed_at,
        coalesce(published.committed_at <= files.loaded_at + interval '15 minutes', false) as is_in_time,
        published.committed_at is null and files.loaded_at + interval '15 minutes' > build.as_of as is_pending
    from files
    cross join build
    left join published on files.file_id = published.file_id
    where files.loaded_at < build.as_of

)

select * from final
