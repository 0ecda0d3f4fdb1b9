-- calls_received = ivr_self_served + ivr_abandoned + forced_disconnects + calls_offered, in every grain and line.
select
    grain,
    period_start,
    line_of_business,
    calls_received,
    ivr_self_served,
    ivr_abandoned,
    forced_disconnects,
    calls_offered
from {{ ref('annex_b_calls') }}
where
    {{ written_by_this_build() }}
    and (
        calls_received <> ivr_self_served + ivr_abandoned + forced_disconnects + calls_offered
        or calls_retained_in_ivr <> ivr_self_served + ivr_abandoned
    )
