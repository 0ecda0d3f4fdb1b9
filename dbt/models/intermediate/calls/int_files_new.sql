{{ config(unlogged=true) }}

with build_files as (

    select * from {{ ref('stg_ops__build_files') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

final as (

    select build_files.file_id
    from build_files
    inner join build on build_files.build_id = build.build_id

)

select * from final
