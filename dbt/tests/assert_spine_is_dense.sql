-- From the first call to as_of there is a row for every line and every quarter hour, and no other.
with spine as (

    select
        count(*) as rows_there,
        min(period_start) as first_start,
        max(period_end) as last_end
    from {{ ref('annex_b_calls') }}
    where grain = '15min'

),

lines as (

    select count(*) as lines_count
    from {{ ref('dim_line_of_business') }}

)

select
    spine.rows_there,
    spine.first_start,
    spine.last_end
from spine
cross join lines
where
    spine.rows_there > 0
    and spine.rows_there <> {{ seconds_between('spine.first_start', 'spine.last_end') }} / 900 * lines.lines_count
