{{ config(unlogged=true) }}

with calls as (

    select
        call_id,
        interval_start,
        received_date,
        line_of_business,
        primary_reason_code,
        reason_codes
    from {{ ref('fct_calls') }}
    where
        is_answered
        and not is_test
        {% if not is_full_build() -%}
        and interval_start in (select changed.interval_start from {{ ref('int_intervals_changed') }} as changed)
        {%- endif %}

),

codes as (

    select
        calls.call_id,
        codes.value as reason_code
    from calls
    cross join lateral {{ json_texts('calls.reason_codes', 'codes') }}

    union

    select
        call_id,
        primary_reason_code as reason_code
    from calls

),

reason_codes as (

    select * from {{ ref('reason_codes') }}

),

final as (

    select
        calls.call_id,
        calls.interval_start,
        calls.line_of_business,
        codes.reason_code,
        codes.reason_code = calls.primary_reason_code as is_primary,
        of_voice.reason_code is not null or of_all.reason_code is not null as is_agreed
    from codes
    inner join calls on codes.call_id = calls.call_id
    left join reason_codes as of_voice
        on
            codes.reason_code = of_voice.reason_code
            and of_voice.channel = 'voice'
            and calls.received_date >= of_voice.valid_from
            and calls.received_date < coalesce(of_voice.valid_to, date '9999-12-31')
    left join reason_codes as of_all
        on
            codes.reason_code = of_all.reason_code
            and of_all.channel = 'all'
            and calls.received_date >= of_all.valid_from
            and calls.received_date < coalesce(of_all.valid_to, date '9999-12-31')

)

select * from final
