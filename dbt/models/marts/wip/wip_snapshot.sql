{{ config(
    indexes=[
        {'columns': ['extract_position', 'stage', 'service', 'channel', 'region'], 'unique': true},
        {'columns': ['extracted_at']},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed('extract_position', ref('int_extracts_changed')) }}",
) }}

{%- set bands = [(none, 7), (7, 14), (14, 21), (21, 42), (42, 70), (70, none)] %}

with extracts as (

    select * from {{ ref('int_extracts_changed') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

standing as (

    select
        extracts.extract_position,
        extracts.extracted_at,
        extracts.file_id,
        states.stage,
        states.service,
        states.channel,
        states.region,
        states.is_csmt_owned,
        states.expected_by,
        {{ seconds_between('states.received_at', 'extracts.extracted_at') }} as age_seconds,
        {{ seconds_between('states.stage_entered_at', 'extracts.extracted_at') }} as stage_age_seconds
    from extracts
    inner join {{ ref('stg_passport_applications__application_states') }} as states
        on
            states._file_position <= {{ end_of_file('extracts.extract_position') }}
            and (states._until_position is null or states._until_position > {{ end_of_file('extracts.extract_position') }})

),

counted as (

    select
        extract_position,
        extracted_at,
        file_id,
        stage,
        service,
        channel,
        region,
        count(*) as applications,
        {%- for age in ['age', 'stage_age'] %}
        sum({{ age }}_seconds) as {{ age }}_seconds_sum,
        min({{ age }}_seconds) as {{ age }}_seconds_min,
        {{ lower_median(age ~ '_seconds') }} as {{ age }}_seconds_median,
        max({{ age }}_seconds) as {{ age }}_seconds_max,
        {%- for low, high in bands %}
        sum(case when
            {%- if low is not none %} {{ age }}_seconds >= {{ low }} * 86400{% endif -%}
            {%- if low is not none and high is not none %} and{% endif -%}
            {%- if high is not none %} {{ age }}_seconds < {{ high }} * 86400{% endif %} then 1 else 0 end) as {{ age }}_
            {%- if high is none %}from_{{ low }}_days{% else %}{{ low or 0 }}_to_{{ high }}_days{% endif %},
        {%- endfor %}
        {%- endfor %}
        sum(case when expected_by < extracted_at then 1 else 0 end) as overdue,
        sum(case when expected_by is null then 1 else 0 end) as without_expected_by,
        sum(case when is_csmt_owned then 1 else 0 end) as csmt_owned
    from standing
    group by extract_position, extracted_at, file_id, stage, service, channel, region

),

final as (

    select
        counted.*,
        counted.age_seconds_sum / (86400 * counted.applications) as age_days_avg,
        counted.stage_age_seconds_sum / (86400 * counted.applications) as stage_age_days_avg,
        build.build_id as _build_id
    from counted
    cross join build

)

select * from final
