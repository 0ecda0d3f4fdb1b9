{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['file_id', 'touched_date', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('file_id', ref('int_files_new')) }}",
) }}

with first_report as (

    select min(build_id) as build_id
    from {{ ref('stg_ops__kpi_reports') }}

),

files as (

    -- Before anything was reported nothing can be restated, and no file needs to be remembered as its cause.
    select
        build_files.file_id,
        build_files.build_id
    from {{ ref('stg_ops__build_files') }} as build_files
    cross join first_report
    where
        build_files.build_id > first_report.build_id
        {% if is_incremental() -%}
        and build_files.file_id in (select new_files.file_id from {{ ref('int_files_new') }} as new_files)
        {%- endif %}

),

calls as (

    select distinct
        files.file_id,
        versions.call_id
    from files
    cross join lateral (
        select of_file.call_id
        from {{ ref('stg_telephony__call_versions') }} as of_file
        where of_file._file_id = files.file_id
    ) as versions

),

-- Where any version of a call lies, the earlier ones too: a call that moves changes the period that it leaves.
places as (

    select
        calls.file_id,
        'telephony_call' as interface,
        versions.dialled_number,
        null::text as line_of_business,
        {{ local_date('versions.received_at') }} as touched_date
    from calls
    cross join lateral (
        select
            of_call.dialled_number,
            of_call.received_at
        from {{ ref('stg_telephony__call_versions') }} as of_call
        where of_call.call_id = calls.call_id
    ) as versions

    union

    select
        files.file_id,
        'callback_event' as interface,
        events.dialled_number,
        null::text as line_of_business,
        {{ local_date('events.occurred_at') }} as touched_date
    from files
    cross join lateral (
        select
            of_file.dialled_number,
            of_file.occurred_at
        from {{ ref('stg_telephony__callback_event_versions') }} as of_file
        where of_file._file_id = files.file_id
    ) as events

    union

    select
        files.file_id,
        'email_message' as interface,
        null::text as dialled_number,
        messages.line_of_business,
        {{ local_date('messages.replied_at') }} as touched_date
    from files
    cross join lateral (
        select
            of_file.line_of_business,
            of_file.replied_at
        from {{ ref('stg_email__message_versions') }} as of_file
        where of_file._file_id = files.file_id
    ) as messages
    where messages.replied_at is not null

    union

    select
        files.file_id,
        'webchat_session' as interface,
        null::text as dialled_number,
        sessions.line_of_business,
        {{ local_date('sessions.started_at') }} as touched_date
    from files
    cross join lateral (
        select
            of_file.line_of_business,
            of_file.started_at
        from {{ ref('stg_webchat__session_versions') }} as of_file
        where of_file._file_id = files.file_id
    ) as sessions

    union

    select
        files.file_id,
        ledger.interface,
        null::text as dialled_number,
        null::text as line_of_business,
        {{ local_date('ledger.file_stamp') }} as touched_date
    from files
    inner join {{ ref('stg_ops__files') }} as ledger on files.file_id = ledger.file_id
    where ledger.interface = 'wip_extract'

),

dialled_numbers as (

    select * from {{ ref('dialled_numbers') }}

),

lines as (

    select * from {{ ref('lines_of_business') }}
    where not is_total

),

placed as (

    select distinct
        places.file_id,
        places.interface,
        places.touched_date,
        coalesce(dialled_numbers.line_of_business, lines.line_of_business, 'UNMAPPED') as line_of_business
    from places
    left join dialled_numbers
        on
            places.dialled_number = dialled_numbers.dialled_number
            and places.touched_date >= dialled_numbers.valid_from
            and places.touched_date < coalesce(dialled_numbers.valid_to, date '9999-12-31')
    left join lines on places.line_of_business = lines.line_of_business

),

final as (

    select
        placed.file_id,
        files.build_id as taken_in_by_build_id,
        placed.interface,
        placed.touched_date,
        placed.line_of_business
    from placed
    inner join files on placed.file_id = files.file_id

    union

    select
        placed.file_id,
        files.build_id as taken_in_by_build_id,
        placed.interface,
        placed.touched_date,
        'ALL' as line_of_business
    from placed
    inner join files on placed.file_id = files.file_id

)

select * from final
