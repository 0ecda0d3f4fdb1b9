-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    message_id,
    _record_hash::text as record_hash,
    direction,
    template_code,
    caller_key,
    caller_key_missing_reason,
    sent_at,
    delivered_at,
    status,
    related_call_id,
    reason_codes,
    _extra,
    _file_position,
    _file_id,
    _line_number,
    _loaded_at
from {{ source('text', 'text_message') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
