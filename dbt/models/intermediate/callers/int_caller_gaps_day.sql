{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['received_date', 'line_of_business', 'days_since_previous', 'days_until_next'], 'unique': true}],
    pre_hook="{{ replace_changed('received_date', ref('int_caller_days_changed')) }}",
) }}

with calls as (

    select calls.*
    from {{ ref('int_calls_sequenced') }} as calls
    {% if is_incremental() -%}
    inner join {{ ref('int_caller_days_changed') }} as days
        on
            calls.received_at >= days.day_start
            and calls.received_at < days.day_end
    {%- endif %}

),

gaps as (

    select
        calls.received_date,
        calls.line_of_business,
        {{ gap_days('calls.previous_date_on_line', 'calls.received_date') }} as days_since_previous_on_line,
        {{ gap_days('calls.received_date', 'calls.next_date_on_line') }} as days_until_next_on_line,
        {{ gap_days('calls.previous_date', 'calls.received_date') }} as days_since_previous,
        {{ gap_days('calls.received_date', 'calls.next_date') }} as days_until_next,
        count(*) as calls
    from calls
    group by
        calls.received_date,
        calls.line_of_business,
        days_since_previous_on_line,
        days_until_next_on_line,
        days_since_previous,
        days_until_next

),

final as (

    select
        received_date,
        line_of_business,
        days_since_previous_on_line as days_since_previous,
        days_until_next_on_line as days_until_next,
        sum(calls)::bigint as calls
    from gaps
    group by received_date, line_of_business, days_since_previous_on_line, days_until_next_on_line

    union all

    select
        received_date,
        'ALL' as line_of_business,
        days_since_previous,
        days_until_next,
        sum(calls)::bigint as calls
    from gaps
    group by received_date, days_since_previous, days_until_next

)

select * from final
