{{ config(unlogged=true, indexes=[{'columns': ['call_id'], 'unique': true}]) }}

with {% if is_full_build() -%}

final as (

    select * from {{ ref('stg_telephony__calls') }}

)

{%- else -%}

build as (

    select * from {{ ref('stg_ops__builds') }}

),

new_files as (

    select build_files.file_id
    from {{ ref('stg_ops__build_files') }} as build_files
    inner join build on build_files.build_id = build.build_id

),

changed as (

    select versions.call_id
    from {{ ref('stg_telephony__call_versions') }} as versions
    where versions._file_id in (select new_files.file_id from new_files)

    union

    select touches.record_key as call_id
    from {{ ref('stg_ops__record_touches') }} as touches
    where
        touches.interface = 'telephony_call'
        and touches.file_id in (select new_files.file_id from new_files)

    union

    -- Known already, but not yet received when the last build looked.
    select versions.call_id
    from {{ ref('stg_telephony__call_versions') }} as versions
    where versions.received_at >= (select build.previous_as_of from build)

    union

    -- Something in the call lay ahead of the last build and may have happened since.
    select calls.call_id
    from {{ source('last_build', 'fct_calls') }} as calls
    where calls.last_event_at > (select build.previous_as_of from build)

),

final as (

    select calls.*
    from {{ ref('stg_telephony__calls') }} as calls
    where calls.call_id in (select changed.call_id from changed)

)

{%- endif %}

select * from final
