{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ replace_every_row() }}",
    post_hook="{{ functions_at_an_instant() }}",
) }}
-- Written when what it speaks for is written:
-- depends_on: {{ ref('dim_line_of_business') }}
-- depends_on: {{ ref('fct_contacts') }}
-- depends_on: {{ ref('fct_call_legs') }}
-- depends_on: {{ ref('fct_calls') }}
-- depends_on: {{ ref('annex_b_callbacks') }}
-- depends_on: {{ ref('annex_b_callback_completed_age') }}
-- depends_on: {{ ref('email_volumes') }}
-- depends_on: {{ ref('email_completed_age') }}

with final as (

    select
        as_of,
        build_id
    from {{ ref('stg_ops__builds') }}

)

select * from final
