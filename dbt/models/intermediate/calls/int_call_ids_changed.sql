{{ config(unlogged=true) }}

{% if is_full_build() -%}

with final as (

    select distinct versions.call_id
    from {{ ref('stg_telephony__call_versions') }} as versions

)

{%- else -%}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

new_files as (

    select * from {{ ref('int_files_new') }}

),

final as (

    select versions.call_id
    from {{ ref('stg_telephony__call_versions') }} as versions
    inner join new_files on versions._file_id = new_files.file_id

    union

    select touches.record_key as call_id
    from {{ ref('stg_ops__record_touches') }} as touches
    inner join new_files on touches.file_id = new_files.file_id
    where touches.interface = 'telephony_call'

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

)

{%- endif %}

select * from final
