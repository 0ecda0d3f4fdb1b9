-- calls_offered = calls_answered + abandoned_in_queue + queue_flow_outs + forced_disconnects_in_queue + open_calls.
select
    grain,
    period_start,
    line_of_business,
    calls_offered,
    calls_answered,
    abandoned_in_queue,
    queue_flow_outs,
    forced_disconnects_in_queue,
    open_calls
from {{ ref('annex_b_calls') }}
where
    {{ written_by_this_build() }}
    and calls_offered <> calls_answered + abandoned_in_queue + queue_flow_outs + forced_disconnects_in_queue + open_calls
