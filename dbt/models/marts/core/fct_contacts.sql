{{ config(
    indexes=[
        {'columns': ['contact_id'], 'unique': true},
        {'columns': ['customer_key', 'received_at']},
        {'columns': ['received_at']},
        {'columns': ['received_date']},
        {'columns': ['last_event_at']},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed('contact_id', ref('int_contact_ids_changed')) }}",
    post_hook=[
        "{{ index_on('(related_contact_id) where related_contact_id is not null') }}",
        "{{ index_on('(conversation_id) where conversation_id is not null') }}",
        "{{ index_on('using gist ((' ~ stay_in_wip(this.identifier) ~ \")) where channel = 'callback' and queued_at is not null\") }}",
        "{{ index_on('using gist ((' ~ stay_in_wip(this.identifier) ~ \")) where channel = 'email' and queued_at is not null\") }}",
        "{{ index_on(\"(channel) where channel in ('callback', 'email')\") }}",
        "{{ index_on(\"(channel, received_at) where channel in ('webchat', 'text')\") }}",
    ],
) }}

{%- set channels = [
    ref('int_contacts_voice'), ref('int_contacts_webchat'), ref('int_contacts_email'), ref('int_contacts_text'),
    ref('int_contacts_callback'),
] %}

with contacts as (

    {% for channel in channels -%}
    select
        {%- for name in contact_columns() %}
        {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ channel }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

lines as (

    select * from {{ ref('lines_of_business') }}
    where not is_total

),

complained_of as (

    -- Two channels may use one number. The channel of a complaint says which is meant, unless it is one without contacts, such as letter.
    select distinct
        contacts.channel,
        contacts.source_id
    from {{ ref('stg_complaints__complaints') }} as complaints
    cross join build
    inner join contacts
        on
            complaints.contact_id = contacts.source_id
            and (
                complaints.channel = contacts.channel
                or complaints.channel not in ('voice', 'webchat', 'email', 'text', 'callback')
            )
    where complaints.received_at < build.as_of

),

opening_hours as (

    select * from {{ ref('opening_hours') }}

),

placed as (

    select
        contacts.*,
        coalesce(lines.line_of_business, 'UNMAPPED') as known_line,
        {{ local_date('contacts.received_at') }} as received_date,
        {{ local_time('contacts.received_at') }}::time as received_time,
        case
            when bank_holidays.holiday_date is not null then 'bank_holiday'
            when extract(isodow from {{ local_date('contacts.received_at') }}) = 6 then 'saturday'
            when extract(isodow from {{ local_date('contacts.received_at') }}) = 7 then 'sunday'
            else 'weekday'
        end as day_kind
    from contacts
    left join lines on contacts.line_of_business = lines.line_of_business
    left join {{ ref('bank_holidays') }} as bank_holidays on {{ local_date('contacts.received_at') }} = bank_holidays.holiday_date

),

final as (

    select
        contacts.channel || ':' || contacts.source_id as contact_id,
        contacts.channel,
        contacts.source_id,
        contacts.direction,
        contacts.known_line as line_of_business,
        contacts.language,
        contacts.customer_key,
        contacts.customer_key_missing_reason,
        contacts.is_test,
        contacts.received_at,
        contacts.received_date,
        {{ interval_of('contacts.received_at') }} as interval_start,
        opening_hours.line_of_business is not null as is_in_opening_hours,
        contacts.queued_at,
        contacts.answered_at,
        contacts.ended_at,
        contacts.wait_seconds,
        contacts.handle_seconds,
        contacts.outcome,
        contacts.answered_at is not null as is_answered,
        contacts.agent_id,
        contacts.is_transferred,
        contacts.transferred_to,
        contacts.transfer_mode,
        contacts.primary_reason_code,
        contacts.reason_codes,
        contacts.related_contact_id,
        contacts.conversation_id,
        contacts.is_complaint,
        complained_of.source_id is not null as has_complaint,
        contacts.record_version,
        contacts.emitted_at,
        contacts.last_event_at,
        contacts._file_id,
        contacts._line_number,
        build.build_id as _build_id
    from placed as contacts
    cross join build
    left join opening_hours
        on
            contacts.known_line = opening_hours.line_of_business
            and contacts.day_kind = opening_hours.day_kind
            and contacts.received_date >= opening_hours.valid_from
            and contacts.received_date < coalesce(opening_hours.valid_to, date '9999-12-31')
            and contacts.received_time >= opening_hours.opens_at
            and contacts.received_time < opening_hours.closes_at
    left join complained_of
        on
            contacts.channel = complained_of.channel
            and contacts.source_id = complained_of.source_id

)

select * from final
-- So that what a day or a month asks for lies together.
order by received_at
