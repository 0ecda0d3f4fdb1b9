{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ replace_every_row() }}",
) }}

with present as (

    select
        files.interface,
        files.platform,
        files.file_sequence,
        min(files.file_stamp) as file_stamp
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    where
        files.file_sequence is not null
        and files.file_stamp is not null
    group by files.interface, files.platform, files.file_sequence

),

neighbours as (

    select
        *,
        lead(file_sequence) over (partition by interface, platform order by file_sequence) as next_sequence,
        lead(file_stamp) over (partition by interface, platform order by file_sequence) as next_stamp
    from present

),

final as (

    select
        interface,
        platform,
        file_sequence + 1 as first_missing_sequence,
        next_sequence - 1 as last_missing_sequence,
        least(file_stamp, next_stamp) as emitted_after,
        greatest(file_stamp, next_stamp) as emitted_until
    from neighbours
    where next_sequence > file_sequence + 1

)

select * from final
