-- A contact with a primary code has one primary reason, and a contact without has none.
with contacts as (

    select
        contact_id,
        primary_reason_code
    from {{ ref('fct_contacts') }}
    where {{ written_by_this_build() }}

),

primary_reasons as (

    select
        contact_id,
        count(*) as primary_reasons
    from {{ ref('fct_contact_reasons') }}
    where
        {{ written_by_this_build() }}
        and is_primary
    group by contact_id

)

select
    contacts.contact_id,
    contacts.primary_reason_code,
    primary_reasons.primary_reasons
from contacts
left join primary_reasons on contacts.contact_id = primary_reasons.contact_id
where coalesce(primary_reasons.primary_reasons, 0) <> case when contacts.primary_reason_code is null then 0 else 1 end
