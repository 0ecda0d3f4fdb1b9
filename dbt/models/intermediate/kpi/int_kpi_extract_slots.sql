{{ config(materialized='view') }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

-- What counts is when an extract was there to be used, not the time that its sender wrote into its name.
loads as (

    select
        files.file_id,
        files.loaded_at,
        {{ two_hour_slot_of('files.loaded_at') }} as slot_start,
        coalesce(lead(files.loaded_at) over (order by files.loaded_at, files.file_id), build.as_of) as waited_until
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    cross join build
    where
        files.interface = 'wip_extract'
        and files.state = 'loaded'
        and files.loaded_at < build.as_of

),

-- The last load of each slot stands until the slot of the next one.
standing as (

    select
        file_id,
        slot_start as first_slot,
        lead(slot_start) over (order by slot_start) as next_slot
    from (
        select
            file_id,
            slot_start,
            row_number() over (partition by slot_start order by loaded_at desc, file_id desc) as place
        from loads
    ) as placed
    where place = 1

),

slots as (

    -- A slot that is not over at as_of may still be late.
    select
        standing.file_id,
        slots.slot_start
    from standing
    cross join build
    cross join lateral {{ two_hour_slots('standing.first_slot', 'coalesce(standing.next_slot, build.as_of)') }} as slots (slot_start)
    where slots.slot_start + interval '2 hours' <= build.as_of

),

late as (

    -- From the very instant after the promised time, until the next load.
    select distinct slots.slot_start
    from loads
    cross join lateral {{ two_hour_slots('loads.loaded_at + ' ~ promised_between_extracts(), 'loads.waited_until') }} as slots (slot_start)
    where loads.waited_until > loads.loaded_at + {{ promised_between_extracts() }}

),

final as (

    select
        slots.slot_start,
        {{ local_date('slots.slot_start') }} as slot_date,
        late.slot_start is null as is_served,
        slots.file_id
    from slots
    left join late on slots.slot_start = late.slot_start

)

select * from final
