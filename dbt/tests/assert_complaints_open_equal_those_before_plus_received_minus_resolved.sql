-- From one day to the next the open complaints grow by those received and shrink by those resolved.
with days as (

    select
        period_date,
        sum(complaints_received) as received,
        sum(resolved) as resolved,
        sum(open_at_period_end) as open_at_end
    from {{ ref('complaint_volumes') }}
    where
        grain = 'day'
        and line_of_business = 'ALL'
        and channel = 'all'
    group by period_date

),

written as (

    select min(period_date) as first_date
    from {{ ref('complaint_volumes') }}
    where
        {{ written_by_this_build() }}
        and grain = 'day'

),

final as (

    select
        days.*,
        coalesce(before.open_at_end, 0) as open_before
    from days
    cross join written
    left join days as before on days.period_date = before.period_date + 1
    where days.period_date >= written.first_date

)

select *
from final
where open_at_end <> open_before + received - resolved
