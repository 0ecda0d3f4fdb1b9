{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['contact_id'], 'unique': true}],
    pre_hook="{{ replace_changed('contact_id', ref('int_contact_ids_changed')) }}",
) }}

with final as (

    select
        {{ contact_id('webchat', 'source_id') }} as contact_id,
        first_response_seconds,
        messages_customer,
        messages_agent
    from {{ ref('int_contacts_webchat') }}

)

select * from final
