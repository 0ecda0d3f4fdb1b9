{{ config(materialized='view') }}

with runs as (

    select * from {{ ref('stg_analysis__segment_runs') }}

),

segments as (

    select * from {{ ref('stg_analysis__segments') }}

),

final as (

    select
        segments.run_id,
        segments.segment,
        segments.segment_name,
        runs.as_of,
        runs.days,
        runs.silhouette,
        segments.customers,
        {{ ratio('segments.customers', 'runs.customers') }} as customers_share,
        segments.contacts,
        {%- for name in segment_features() if name != 'contacts' %}
        {{ json_number('segments.profile', name) }} as {{ name }},
        {%- endfor %}
        {{ ratio('segments.contacts', 'segments.customers') }} as contacts_per_customer
    from segments
    inner join runs on segments.run_id = runs.run_id

)

select * from final
