{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start', 'line_of_business', 'bucket_seconds_from'], 'unique': true}],
    pre_hook="{{ replace_changed('day_start', ref('int_days_changed')) }}",
) }}

with days as (

    select * from {{ ref('int_days_changed') }}

),

buckets as (

    select * from {{ ref('wait_buckets') }}

),

final as (

    select
        days.day_start,
        coalesce(calls.line_of_business, 'ALL') as line_of_business,
        buckets.bucket_seconds_from,
        count(*) as abandoned_calls
    from days
    inner join {{ ref('fct_calls') }} as calls
        on
            days.day_start <= calls.interval_start
            and days.day_end > calls.interval_start
    inner join buckets
        on
            calls.wait_seconds >= buckets.bucket_seconds_from
            and (calls.wait_seconds < buckets.bucket_seconds_to or buckets.bucket_seconds_to is null)
    where
        calls.outcome = 'abandoned_in_queue'
        and not calls.is_test
    group by
        grouping sets (
            (days.day_start, calls.line_of_business, buckets.bucket_seconds_from), (days.day_start, buckets.bucket_seconds_from)
        )

)

select * from final
