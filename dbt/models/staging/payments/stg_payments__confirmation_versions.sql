-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    payment_ref,
    _record_hash::text as record_hash,
    taken_at,
    amount_pence,
    currency,
    method,
    status,
    application_key,
    contact_id,
    reason,
    _extra,
    _file_position,
    _file_id,
    _line_number,
    _loaded_at
from {{ source('payments', 'payment_confirmation') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
