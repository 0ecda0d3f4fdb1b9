{{ config(unlogged=true, indexes=[{'columns': ['call_id'], 'unique': true}]) }}

with calls as (

    select * from {{ ref('int_calls_changed') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

dialled_numbers as (

    select * from {{ ref('dialled_numbers') }}

),

final as (

    select
        calls.call_id,
        calls.record_version,
        calls.emitted_at,
        calls.is_test,
        calls.dialled_number,
        coalesce(dialled_numbers.line_of_business, 'UNMAPPED') as line_of_business,
        calls.caller_key,
        calls.caller_key_missing_reason,
        calls.language,
        calls.received_at,
        {{ local_date('calls.received_at') }} as received_date,
        {{ interval_of('calls.received_at') }} as interval_start,
        {{ happened('calls.ivr_ended_at', 'build.as_of') }} as ivr_ended_at,
        calls.ivr_outcome,
        {{ happened('calls.ended_at', 'build.as_of') }} as ended_at,
        calls.ended_at as ended_at_recorded,
        calls.legs,
        calls._file_id,
        calls._line_number,
        build.as_of,
        build.build_id,
        build.short_abandon_seconds
    from calls
    cross join build
    left join dialled_numbers
        on
            calls.dialled_number = dialled_numbers.dialled_number
            and {{ local_date('calls.received_at') }} >= dialled_numbers.valid_from
            and {{ local_date('calls.received_at') }} < coalesce(dialled_numbers.valid_to, date '9999-12-31')
    where calls.received_at < build.as_of

)

select * from final
