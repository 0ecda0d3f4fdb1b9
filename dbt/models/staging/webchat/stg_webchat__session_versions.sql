-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    chat_id,
    record_version,
    _record_hash::text as record_hash,
    emitted_at,
    customer_key,
    customer_key_missing_reason,
    line_of_business,
    language,
    entry_page,
    started_at,
    queued_at,
    accepted_at,
    first_response_at,
    ended_at,
    end_reason,
    transfer_to,
    agent_id,
    reason_codes,
    messages_customer,
    messages_agent,
    _extra,
    _file_position,
    _file_id,
    _line_number,
    _loaded_at
from {{ source('webchat', 'webchat_session') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
