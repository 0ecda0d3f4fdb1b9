-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    call_id,
    record_version,
    _record_hash::text as record_hash,
    emitted_at,
    is_test,
    dialled_number,
    caller_key,
    caller_key_missing_reason,
    language,
    received_at,
    ivr_ended_at,
    ivr_outcome,
    ivr_path,
    legs,
    ended_at,
    _extra,
    _file_position,
    _file_id,
    _batch_id,
    _line_number,
    _loaded_at
from {{ source('telephony', 'telephony_call') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
