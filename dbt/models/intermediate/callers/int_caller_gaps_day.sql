{{ config(unlogged=true, indexes=[{'columns': ['received_date']}]) }}

with periods as (

    select * from {{ ref('int_caller_periods_changed') }}
    where is_in_spine

),

days as (

    select distinct
        dim_date.date_day,
        dim_date.day_start,
        {{ instant_of_local('(dim_date.date_day + 1)::timestamp') }} as day_end
    from periods
    inner join {{ ref('dim_date') }} as dim_date
        on
            periods.first_date <= dim_date.date_day
            and periods.last_date >= dim_date.date_day

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
    from days
    inner join {{ ref('int_calls_sequenced') }} as calls
        on
            days.day_start <= calls.received_at
            and days.day_end > calls.received_at
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
