{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['received_date']}],
    pre_hook="{{ replace_changed('received_date', \"(select period_date as received_date from \" ~ ref('int_contact_periods_changed') ~ \" where grain = 'day') as days\") }}",
) }}

with days as (

    select * from {{ ref('int_contact_periods_changed') }}
    where grain = 'day'

),

final as (

    select
        contacts.received_date,
        contacts.line_of_business,
        contacts.channel,
        coalesce(contacts.language, 'unknown') as language,
        contacts.is_in_opening_hours,
        count(*) as contacts,
        sum(case when contacts.direction = 'inbound' then 1 else 0 end)::bigint as inbound_contacts,
        sum(case when contacts.is_answered then 1 else 0 end)::bigint as answered,
        sum(case when contacts.is_complaint or contacts.has_complaint then 1 else 0 end)::bigint as complaints
    from days
    inner join {{ ref('fct_contacts') }} as contacts
        on
            days.channel = contacts.channel
            and days.period_date = contacts.received_date
    where not contacts.is_test
    group by
        contacts.received_date, contacts.line_of_business, contacts.channel, coalesce(contacts.language, 'unknown'), contacts.is_in_opening_hours

)

select * from final
