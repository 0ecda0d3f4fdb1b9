-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    message_id,
    record_version,
    _record_hash::text as record_hash,
    emitted_at,
    thread_id,
    direction,
    mailbox,
    line_of_business,
    customer_key,
    customer_key_missing_reason,
    received_at,
    replied_at,
    agent_id,
    reason_codes,
    transferred_to,
    transferred_at,
    is_complaint,
    is_callback_request,
    _extra,
    _file_position,
    _file_id,
    _line_number,
    _loaded_at
from {{ source('email', 'email_message') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
