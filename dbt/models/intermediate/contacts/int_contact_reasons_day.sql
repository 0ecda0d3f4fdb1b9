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
        reasons.received_date,
        reasons.line_of_business,
        reasons.channel,
        reasons.reason_code,
        reasons.is_in_opening_hours,
        sum(case when reasons.is_primary then 1 else 0 end)::bigint as contacts_primary,
        count(*) as contacts_any,
        bool_and(reasons.is_agreed) as is_agreed
    from days
    inner join {{ ref('fct_contact_reasons') }} as reasons
        on
            days.channel = reasons.channel
            and days.period_date = reasons.received_date
    where not reasons.is_test
    group by reasons.received_date, reasons.line_of_business, reasons.channel, reasons.reason_code, reasons.is_in_opening_hours

)

select * from final
