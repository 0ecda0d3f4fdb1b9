{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

{% if is_full_build() -%}

changed_from as (

    select min(versions.received_at) as instant
    from {{ ref('stg_complaints__complaint_versions') }} as versions

),

{%- else -%}

new_files as (

    select * from {{ ref('int_files_new') }}

),

changed as (

    select versions.complaint_id
    from {{ ref('stg_complaints__complaint_versions') }} as versions
    inner join new_files on versions._file_id = new_files.file_id

    union

    select touches.record_key as complaint_id
    from {{ ref('stg_ops__record_touches') }} as touches
    inner join new_files on touches.file_id = new_files.file_id
    where touches.interface = 'complaint'

),

contents as (

    select
        versions.*,
        new_files.file_id is null as was_known,
        count(*) over (partition by versions.complaint_id) as contents_of_complaint
    from changed
    inner join {{ ref('stg_complaints__complaint_versions') }} as versions on changed.complaint_id = versions.complaint_id
    left join new_files on versions._file_id = new_files.file_id

),

moments as (

    {% for name in ['received_at', 'escalated_to_csmt_at', 'resolved_at'] -%}
    select
        complaint_id,
        line_of_business,
        channel,
        category_code,
        '{{ name }}' as event,
        {{ name }} as occurred_at,
        was_known,
        contents_of_complaint
    from contents
    where {{ name }} is not null
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- What every content says, one of which was known, counts as it did; the rest may count for the first time, or no longer.
differences as (

    select occurred_at
    from moments
    group by complaint_id, line_of_business, channel, category_code, event, occurred_at, contents_of_complaint
    having
        count(*) < contents_of_complaint
        or not bool_or(was_known)

),

changed_from as (

    select least(min(differences.occurred_at), build.previous_as_of) as instant
    from build
    left join differences on true
    group by build.previous_as_of

),

{%- endif %}

intervals as (

    select
        days.day_start as interval_start,
        days.day_start as spine_start
    from {{ ref('dim_date') }} as days
    cross join changed_from
    cross join build
    where
        days.date_day >= {{ local_date('changed_from.instant') }}
        and days.day_start < build.as_of

),

{{ periods_holding('intervals', 'complaint') }}

select
    grain,
    period_start,
    period_end,
    period_date
from final
where not is_within_day
