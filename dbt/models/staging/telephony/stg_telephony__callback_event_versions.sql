-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    event_id,
    _record_hash::text as record_hash,
    callback_id,
    call_id,
    channel,
    dialled_number,
    event,
    occurred_at,
    outcome,
    agent_id,
    reason_codes,
    _extra,
    _file_position,
    _file_id,
    _line_number,
    _loaded_at
from {{ source('telephony', 'callback_event') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
