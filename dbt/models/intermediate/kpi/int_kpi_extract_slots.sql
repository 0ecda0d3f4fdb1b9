{{ config(materialized='view') }}

with extracts as (

    select files.file_stamp as extracted_at
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    where files.interface = 'wip_extract'

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

first_extract as (

    select min(extracted_at) as extracted_at
    from extracts

),

slots as (

    -- A slot that is not over at as_of may still be served.
    select slots.slot_start
    from first_extract
    cross join build
    cross join lateral {{ two_hour_slots('first_extract.extracted_at', 'build.as_of') }} as slots (slot_start)
    where slots.slot_start + interval '2 hours' <= build.as_of

),

served as (

    select distinct {{ two_hour_slot_of('extracts.extracted_at') }} as slot_start
    from extracts

),

final as (

    select
        slots.slot_start,
        {{ local_date('slots.slot_start') }} as slot_date,
        served.slot_start is not null as is_served
    from slots
    left join served on slots.slot_start = served.slot_start

)

select * from final
