-- One select, without the usual parts: PostgreSQL looks a few rows up in a join only where it can see through a view.
select
    application_key,
    _record_hash::text as record_hash,
    application_type,
    channel,
    service,
    region,
    country,
    received_at,
    stage,
    stage_entered_at,
    expected_by,
    delivery_partner_key,
    csmt_owned = 'Y' as is_csmt_owned,
    last_updated_at,
    _extra,
    _file_position,
    _until_position,
    _file_id,
    _line_number,
    _loaded_at
from {{ source('passport_applications', 'wip_extract') }}
-- Only files that a build has taken in: a file that lands while a build runs waits, whole, for the next one.
where _file_id in (select build_files.file_id from {{ source('ops', 'build_files') }} as build_files)
