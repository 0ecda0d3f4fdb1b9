with source as (

    select * from {{ source('ops', 'feed_files') }}

),

feed_batches as (

    select * from {{ source('ops', 'feed_batches') }}

),

build_files as (

    select * from {{ source('ops', 'build_files') }}

),

-- A file that is loaded again is taken in by a later build: what was published before that holds not all of it.
whole as (

    select
        source.feed,
        source.file_id,
        source.feed_version
    from source
    inner join feed_batches
        on
            source.feed = feed_batches.feed
            and source.feed_version = feed_batches.feed_version
    inner join build_files
        on
            source.file_id = build_files.file_id
            and feed_batches.build_id >= build_files.build_id

)

select * from whole
