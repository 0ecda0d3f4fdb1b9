{{ config(unlogged=true, indexes=[{'columns': ['extract_position'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

files as (

    select
        {{ file_position('files.file_stamp', 'files.file_sequence') }} as extract_position,
        files.file_stamp as extracted_at,
        files.file_id,
        build_files.build_id
    from {{ ref('stg_ops__files') }} as files
    inner join {{ ref('stg_ops__build_files') }} as build_files on files.file_id = build_files.file_id
    where
        files.interface = 'wip_extract'
        and files.state = 'loaded'

),

extracts as (

    -- Should two deliveries bear one stamp and sequence, their extract is that of the later one.
    select
        files.extract_position,
        max(files.extracted_at) as extracted_at,
        max(files.file_id) as file_id,
        max(files.build_id) as build_id
    from files
    group by files.extract_position

),

final as (

    select
        extracts.extract_position,
        extracts.extracted_at,
        extracts.file_id
    from extracts
    cross join build
    where
        extracts.extracted_at < build.as_of
        {% if not is_full_build() -%}
        and (extracts.build_id = build.build_id or extracts.extracted_at >= build.previous_as_of)
        {%- endif %}

)

select * from final
