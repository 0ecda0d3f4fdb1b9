-- A day equals the sum of its quarter hours, for every count and every sum of seconds.
with days as (

    select *
    from {{ ref('annex_b_calls') }}
    where
        {{ written_by_this_build() }}
        and grain = 'day'

),

compared as (

    select
        days.period_start,
        days.line_of_business,
        {%- for name in call_measure_counts() + call_measure_seconds() %}
        max(days.{{ name }}) - sum(intervals.{{ name }}) as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from days
    inner join {{ ref('annex_b_calls') }} as intervals
        on
            days.line_of_business = intervals.line_of_business
            and days.period_start <= intervals.period_start
            and days.period_end > intervals.period_start
            and intervals.grain = '15min'
            -- Said apart, so that only the days in question are read from the index.
            and intervals.period_start >= (select min(first_day.period_start) from days as first_day)
            and intervals.period_start < (select max(last_day.period_end) from days as last_day)
    group by days.period_start, days.line_of_business

)

select *
from compared
where
    {%- for name in call_measure_counts() + call_measure_seconds() %}
    {{ name }} <> 0{{ " or" if not loop.last }}
    {%- endfor %}
