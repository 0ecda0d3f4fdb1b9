with versions as (

    select * from {{ ref('stg_telephony__call_versions') }}

),

dialled_numbers as (

    select * from {{ ref('dialled_numbers') }}

),

final as (

    select
        versions.call_id,
        versions.record_version,
        versions.record_hash,
        versions.emitted_at,
        versions.is_test,
        versions.dialled_number,
        coalesce(dialled_numbers.line_of_business, 'UNMAPPED') as line_of_business,
        versions.caller_key,
        versions.caller_key_missing_reason,
        versions.language,
        versions.received_at,
        {{ local_date('versions.received_at') }} as local_date,
        versions.ivr_ended_at,
        versions.ivr_outcome,
        versions.ivr_path::text as ivr_path,
        versions.ended_at,
        jsonb_array_length(versions.legs) as legs_count,
        versions._extra::text as extra,
        versions._file_id as file_id,
        versions._line_number as line_number,
        versions._loaded_at as loaded_at,
        versions._batch_id as load_batch_id
    from versions
    left join dialled_numbers
        on
            versions.dialled_number = dialled_numbers.dialled_number
            and {{ local_date('versions.received_at') }} >= dialled_numbers.valid_from
            and {{ local_date('versions.received_at') }} < coalesce(dialled_numbers.valid_to, date '9999-12-31')

)

select * from final
