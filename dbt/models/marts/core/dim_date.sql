{{ config(materialized='table', tags=['reference']) }}

with days as (

    select day::date as date_day
    from generate_series(date '1990-01-01', date '2049-12-31', interval '1 day') as series (day)

),

bank_holidays as (

    select * from {{ ref('bank_holidays') }}

),

final as (

    select
        days.date_day,
        {{ instant_of_local('days.date_day::timestamp') }} as day_start,
        extract(isodow from days.date_day)::integer as iso_weekday,
        to_char(days.date_day, 'FMDay') as weekday_name,
        date_trunc('week', days.date_day)::date as week_start,
        extract(isoyear from days.date_day)::integer as iso_year,
        extract(week from days.date_day)::integer as iso_week,
        date_trunc('month', days.date_day)::date as month_start,
        date_trunc('quarter', days.date_day)::date as quarter_start,
        extract(year from days.date_day)::integer as calendar_year,
        extract(year from days.date_day - interval '3 months')::integer as financial_year,
        extract(year from days.date_day - interval '{{ var("contract_year_starts_after_months") }} months')::integer as contract_year,
        bank_holidays.holiday_name is not null as is_bank_holiday,
        bank_holidays.holiday_name as bank_holiday_name
    from days
    left join bank_holidays on days.date_day = bank_holidays.holiday_date

)

select * from final
