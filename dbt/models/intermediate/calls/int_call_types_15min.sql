{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['interval_start', 'line_of_business', 'reason_code'], 'unique': true}],
    pre_hook="{{ replace_changed('interval_start', ref('int_intervals_changed')) }}",
) }}

with codes as (

    select * from {{ ref('int_call_codes') }}

),

final as (

    select
        interval_start,
        coalesce(line_of_business, 'ALL') as line_of_business,
        reason_code,
        bool_and(is_agreed) as is_agreed,
        sum(case when is_primary then 1 else 0 end)::bigint as calls_primary,
        count(*) as calls_any
    from codes
    group by grouping sets ((interval_start, line_of_business, reason_code), (interval_start, reason_code))

)

select * from final
