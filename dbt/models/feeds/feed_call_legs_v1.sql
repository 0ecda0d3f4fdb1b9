with versions as (

    select * from {{ ref('stg_telephony__call_versions') }}

),

final as (

    select
        versions.call_id,
        versions.record_version,
        versions.record_hash,
        legs.leg_no,
        legs.queue,
        legs.queued_at,
        legs.answered_at,
        legs.left_at,
        legs.agent_id,
        legs.hold_seconds,
        legs.wrap_seconds,
        legs.end_reason,
        legs.transfer_to,
        legs.transfer_mode,
        legs.reason_codes::text as reason_codes,
        {{ local_date('versions.received_at') }} as local_date,
        versions._file_id as file_id,
        versions._batch_id as load_batch_id
    from versions
    cross join lateral {{ json_objects('versions.legs', [
        ('leg_no', 'integer'), ('queue', 'text'), ('queued_at', 'timestamptz'), ('answered_at', 'timestamptz'),
        ('left_at', 'timestamptz'), ('agent_id', 'text'), ('hold_seconds', 'numeric'), ('wrap_seconds', 'numeric'),
        ('end_reason', 'text'), ('transfer_to', 'text'), ('transfer_mode', 'text'), ('reason_codes', 'jsonb'),
    ], 'legs') }}

)

select * from final
