{{ config(unlogged=true, indexes=[{'columns': ['grain', 'period_start'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

{% if not is_full_build() -%}

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

moved as (

    select
        least(min(differences.occurred_at), build.previous_as_of) as begins,
        build.as_of as ends
    from build
    left join differences on true
    group by build.previous_as_of, build.as_of

),

{%- endif %}

{%- set first_at -%}
least(
    (select min(calls.interval_start) from {{ ref('fct_calls') }} as calls),
    (
        select min(complaints.received_at)
        from {{ ref('stg_complaints__complaints') }} as complaints
        where complaints.received_at < (select builds.as_of from {{ ref('stg_ops__builds') }} as builds)
    )
)
{%- endset %}

{{ dense_days_changed('complaint_volumes', ['complaint'], first_at, 'moved') }},

{{ periods_holding('days', 'complaint') }}

select
    grain,
    period_start,
    period_end,
    period_date,
    is_in_spine,
    is_complete
from final
where not is_within_day
