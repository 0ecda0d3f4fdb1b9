{{ config(
    indexes=[
        {'columns': ['contact_id', 'reason_code'], 'unique': true},
        {'columns': ['received_date']},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed('contact_id', ref('int_contact_ids_changed')) }}",
) }}

with contacts as (

    select *
    from {{ ref('fct_contacts') }}
    {% if is_incremental() -%}
    where contact_id in (select changed.contact_id from {{ ref('int_contact_ids_changed') }} as changed)
    {%- endif %}

),

codes as (

    select
        contacts.contact_id,
        codes.value as reason_code,
        codes.place
    from contacts
    cross join lateral {{ json_texts_in_order('contacts.reason_codes', 'codes') }}

    union all

    select
        contacts.contact_id,
        contacts.primary_reason_code as reason_code,
        0 as place
    from contacts
    where contacts.primary_reason_code = 'UNCODED'

),

codes_once as (

    select
        contact_id,
        reason_code,
        min(place) as place
    from codes
    group by contact_id, reason_code

),

reason_codes as (

    select * from {{ ref('reason_codes') }}

),

final as (

    select
        contacts.contact_id,
        contacts.channel,
        contacts.line_of_business,
        contacts.is_test,
        contacts.received_date,
        contacts.is_in_opening_hours,
        codes_once.place::integer as position,
        codes_once.reason_code,
        coalesce(codes_once.reason_code = contacts.primary_reason_code, false) as is_primary,
        of_channel.reason_code is not null or of_all.reason_code is not null as is_agreed,
        contacts._build_id
    from codes_once
    inner join contacts on codes_once.contact_id = contacts.contact_id
    left join reason_codes as of_channel
        on
            codes_once.reason_code = of_channel.reason_code
            and contacts.channel = of_channel.channel
            and contacts.received_date >= of_channel.valid_from
            and contacts.received_date < coalesce(of_channel.valid_to, date '9999-12-31')
    left join reason_codes as of_all
        on
            codes_once.reason_code = of_all.reason_code
            and of_all.channel = 'all'
            and contacts.received_date >= of_all.valid_from
            and contacts.received_date < coalesce(of_all.valid_to, date '9999-12-31')

)

select * from final
-- So that what a day or a month asks for lies together.
order by received_date
