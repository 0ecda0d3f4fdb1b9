-- Every text that was sent was delivered, failed, or is under way.
select
    grain,
    period_start,
    line_of_business
from {{ ref('text_volumes') }}
where
    {{ written_by_this_build() }}
    and texts_sent <> delivered + failed + undelivered_yet
