{{ config(materialized='view') }}

with reasons as (

    select * from {{ ref('fct_contact_reasons') }}

),

reason_codes as (

    select * from {{ ref('reason_codes') }}

),

final as (

    select
        reasons.channel,
        reasons.reason_code,
        count(*) as contacts,
        sum(case when reasons.is_primary then 1 else 0 end) as contacts_primary,
        min(reasons.received_date) as first_received_date,
        max(reasons.received_date) as last_received_date,
        reasons.reason_code in (select reason_codes.reason_code from reason_codes) as is_on_list_otherwise
    from reasons
    where
        not reasons.is_agreed
        and not reasons.is_test
        and reasons.reason_code <> 'UNCODED'
    group by reasons.channel, reasons.reason_code

)

select * from final
