{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}
-- depends_on: {{ ref('fct_contacts') }}
-- depends_on: {{ ref('dim_date') }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

{% if is_full_build() -%}

first_contact as (

    select min(received_date) as received_date
    from {{ ref('fct_contacts') }}

),

instants as (

    select days.day_start as interval_start
    from {{ ref('dim_date') }} as days
    cross join build
    cross join first_contact
    where
        days.date_day >= first_contact.received_date
        and days.day_start < build.as_of

),

{%- else -%}

instants as (

    select distinct changed.interval_start
    from {{ ref('int_contact_intervals_changed') }} as changed
    cross join build
    where changed.interval_start < build.as_of

),

{%- endif %}

intervals as (

    select
        interval_start,
        interval_start as spine_start
    from instants

),

{{ periods_holding('intervals', 'telephony_call') }}

select
    grain,
    period_start,
    period_end,
    period_date,
    {{ local_date('period_end') }} as next_period_date
from final
where not is_within_day
