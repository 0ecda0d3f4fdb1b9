{{ config(severity="warn") }}

-- A caller cannot have waited less than nothing: a negative wait is a defect of the data that no row rule caught.
select
    call_id,
    wait_seconds
from {{ written_by_this_build(ref('fct_calls')) }}
and wait_seconds < 0
