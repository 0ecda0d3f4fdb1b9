-- A contact with a primary code has one primary reason, and a contact without has none.
with contacts as (

    select
        contact_id,
        primary_reason_code
    from {{ ref('fct_contacts') }}
    where {{ written_by_this_build() }}

)

select
    contacts.contact_id,
    contacts.primary_reason_code,
    count(reasons.contact_id) as primary_reasons
from contacts
left join {{ ref('fct_contact_reasons') }} as reasons
    on
        contacts.contact_id = reasons.contact_id
        and reasons.is_primary
group by contacts.contact_id, contacts.primary_reason_code
having count(reasons.contact_id) <> case when contacts.primary_reason_code is null then 0 else 1 end
