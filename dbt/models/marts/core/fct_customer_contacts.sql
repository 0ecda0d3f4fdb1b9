{{ config(materialized='view') }}

-- fct_contacts is named anew in each part: shared, it would be read whole for every customer.
with own as (

    select
        contacts.customer_key,
        'own' as key_from,
        contacts.contact_id
    from {{ ref('fct_contacts') }} as contacts
    where contacts.customer_key is not null

),

by_related_contact as (

    select
        related.customer_key,
        'related_contact' as key_from,
        contacts.contact_id
    from {{ ref('fct_contacts') }} as contacts
    inner join {{ ref('fct_contacts') }} as related on contacts.related_contact_id = related.contact_id
    where
        contacts.customer_key is null
        and related.customer_key is not null

),

by_conversation as (

    select distinct
        others.customer_key,
        'conversation' as key_from,
        contacts.contact_id
    from {{ ref('fct_contacts') }} as contacts
    inner join {{ ref('fct_contacts') }} as others on contacts.conversation_id = others.conversation_id
    where
        contacts.customer_key is null
        and others.customer_key is not null

),

keyed as (

    select * from own
    union all
    select * from by_related_contact
    union all
    select * from by_conversation

),

final as (

    select
        keyed.customer_key,
        contacts.contact_id,
        keyed.key_from,
        contacts.channel,
        contacts.direction,
        contacts.line_of_business,
        contacts.received_at,
        contacts.received_date,
        contacts.outcome,
        contacts.is_answered,
        contacts.wait_seconds,
        contacts.agent_id,
        contacts.is_transferred,
        contacts.transferred_to,
        contacts.primary_reason_code,
        contacts.related_contact_id,
        contacts.conversation_id,
        contacts.is_complaint,
        contacts.has_complaint,
        contacts.is_test
    from keyed
    inner join {{ ref('fct_contacts') }} as contacts on keyed.contact_id = contacts.contact_id

)

select * from final
