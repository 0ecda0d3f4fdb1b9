-- The total row is the sum of the lines, UNMAPPED included, for every count and every sum of seconds.
with written as (

    select *
    from {{ ref('annex_b_calls') }}
    where {{ written_by_this_build() }}

),

compared as (

    select
        grain,
        period_start,
        {%- for name in call_measure_counts() + call_measure_seconds() %}
        sum(case when line_of_business = 'ALL' then {{ name }} else -{{ name }} end) as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from written
    group by grain, period_start

)

select *
from compared
where
    {%- for name in call_measure_counts() + call_measure_seconds() %}
    {{ name }} <> 0{{ " or" if not loop.last }}
    {%- endfor %}
