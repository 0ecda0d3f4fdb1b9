{{ config(severity="warn") }}

-- A caller cannot have waited less than nothing: a negative wait is a defect of the data that no row rule caught.
select
    call_id,
    wait_seconds
from {{ ref('fct_calls') }}
where
    {{ written_by_this_build() }}
    and wait_seconds < 0
