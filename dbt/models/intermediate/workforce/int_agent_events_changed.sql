{{ config(unlogged=true, indexes=[{'columns': ['event_id'], 'unique': true}]) }}

with new_files as (

    select * from {{ ref('int_files_new') }}

),

changed as (

    select versions.event_id
    from {{ ref('stg_workforce__agent_state_versions') }} as versions
    inner join new_files on versions._file_id = new_files.file_id

    union

    select touches.record_key as event_id
    from {{ ref('stg_ops__record_touches') }} as touches
    inner join new_files on touches.file_id = new_files.file_id
    where touches.interface = 'agent_state'

),

final as (

    select event_id from changed

)

select * from final
