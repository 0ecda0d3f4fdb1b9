{{ config(unlogged=true, indexes=[{'columns': ['call_id'], 'unique': true}]) }}
-- depends_on: {{ ref('stg_telephony__calls') }}

{% if is_full_build() -%}

with final as (

    select * from {{ ref('stg_telephony__calls') }}

)

{%- else -%}

with changed as (

    select * from {{ ref('int_call_ids_changed') }}

),

final as (

    -- One look-up by key for each changed call, so that the cost does not grow with history.
    select calls.*
    from changed
    cross join lateral (
        select versions.*
        from {{ ref('stg_telephony__call_versions') }} as versions
        where versions.call_id = changed.call_id
        order by {{ newest_first('versions') }}
        limit 1
    ) as calls

)

{%- endif %}

select * from final
