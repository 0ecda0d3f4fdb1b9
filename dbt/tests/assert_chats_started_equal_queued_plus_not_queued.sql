-- Every chat joined the queue or did not, and has one outcome.
select
    grain,
    period_start,
    line_of_business
from {{ ref('webchat_volumes') }}
where
    {{ written_by_this_build() }}
    and (
        chats_started <> chats_queued + chats_not_queued
        or chats_started
        <> abandoned_in_queue + abandoned_in_chat + transferred + ended_idle + forced_disconnects + completed + ended_without_reason + open_chats
        or accepted_within_60s > chats_accepted
        or waits > chats_accepted
    )
