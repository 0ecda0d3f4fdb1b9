{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['file_id', 'interface', 'touched_date', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('file_id', ref('int_files_new')) }}",
) }}

{#- Records that count by one instant: interface, versions, key, that instant, and the column that gives the line. -#}
{%- set records = [
    ('telephony_call', ref('stg_telephony__call_versions'), 'call_id', 'versions.received_at', 'dialled_number'),
    ('email_message', ref('stg_email__message_versions'), 'message_id',
     "versions.received_at + interval '" ~ due_hours('email') ~ " hours'", 'line_of_business'),
    ('webchat_session', ref('stg_webchat__session_versions'), 'chat_id', 'versions.started_at', 'line_of_business'),
] -%}
{%- set events = ref('stg_telephony__callback_event_versions') -%}

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

-- A file that only repeats a record may still decide which of two contents of one version counts.
touches as (

    select
        files.file_id,
        touches.interface,
        touches.record_key
    from files
    inner join {{ ref('stg_ops__record_touches') }} as touches on files.file_id = touches.file_id

),

{% for interface, versions, key, _, _ in records -%}
{{ interface }}_keys as (

    select
        files.file_id,
        versions.{{ key }}
    from files
    cross join lateral (
        select sent.{{ key }}
        from {{ versions }} as sent
        where sent._file_id = files.file_id
    ) as versions

    union

    select
        touches.file_id,
        touches.record_key as {{ key }}
    from touches
    where touches.interface = '{{ interface }}'

),

{% endfor -%}
event_keys as (

    select
        files.file_id,
        versions.event_id
    from files
    cross join lateral (
        select sent.event_id
        from {{ events }} as sent
        where sent._file_id = files.file_id
    ) as versions

    union

    select
        touches.file_id,
        touches.record_key as event_id
    from touches
    where touches.interface = 'callback_event'

),

-- By any content of an event: the call-back that it belongs to now, and the one that it belonged to before.
callbacks as (

    select distinct
        event_keys.file_id,
        versions.callback_id
    from event_keys
    cross join lateral (
        select sent.callback_id
        from {{ events }} as sent
        where sent.event_id = event_keys.event_id
    ) as versions

),

extracts as (

    select
        ledger.file_id,
        ledger.interface,
        ledger.loaded_at
    from files
    inner join {{ ref('stg_ops__files') }} as ledger on files.file_id = ledger.file_id

),

-- Where any version of a record counts, the earlier ones too: one that moves changes the period and the line that it leaves.
places as (

    {% for interface, versions, key, counted_at, line in records -%}
    select
        touched.file_id,
        '{{ interface }}' as interface,
        {{ 'versions.dialled_number' if line == 'dialled_number' else 'null::text as dialled_number' }},
        {{ 'versions.line_of_business' if line == 'line_of_business' else 'null::text as line_of_business' }},
        {{ local_date('versions.counted_at') }} as mapped_date,
        {{ local_date('versions.counted_at') }} as touched_date
    from {{ interface }}_keys as touched
    cross join lateral (
        select
            versions.{{ line }},
            {{ counted_at }} as counted_at
        from {{ versions }} as versions
        where versions.{{ key }} = touched.{{ key }}
    ) as versions

    union

    {% endfor -%}
    -- A call-back counts when it falls due, on the line of its request, whichever of its events came late.
    select
        callbacks.file_id,
        'callback_event' as interface,
        requests.dialled_number,
        null::text as line_of_business,
        {{ local_date('requests.occurred_at') }} as mapped_date,
        {{ local_date("(requests.occurred_at + interval '" ~ due_hours('callback') ~ " hours')") }} as touched_date
    from callbacks
    cross join lateral (
        select
            sent.dialled_number,
            sent.occurred_at
        from {{ events }} as sent
        where
            sent.callback_id = callbacks.callback_id
            and sent.event = 'requested'
    ) as requests

    union

    -- What is counted from ledgers counts when a file was loaded. An extract speaks for the time that follows too.
    select
        extracts.file_id,
        extracts.interface,
        null::text as dialled_number,
        null::text as line_of_business,
        told.day::date as mapped_date,
        told.day::date as touched_date
    from extracts
    cross join lateral {{ local_days(two_hour_slot_of('extracts.loaded_at'), 'extracts.loaded_at + ' ~ promised_between_extracts()) }} as told (day)
    where extracts.interface = 'wip_extract'

    union

    select
        extracts.file_id,
        'raw_feed' as interface,
        null::text as dialled_number,
        null::text as line_of_business,
        {{ local_date('extracts.loaded_at') }} as mapped_date,
        {{ local_date('extracts.loaded_at') }} as touched_date
    from extracts
    where extracts.interface = 'telephony_call'

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
            and places.mapped_date >= dialled_numbers.valid_from
            and places.mapped_date < coalesce(dialled_numbers.valid_to, date '9999-12-31')
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
