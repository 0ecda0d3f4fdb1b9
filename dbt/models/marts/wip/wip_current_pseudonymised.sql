{{ config(materialized='view') }}

with extracts as (

    -- The latest extract that the marts tell about: what loads later waits for the next build.
    select distinct
        snapshot.extract_position,
        snapshot.extracted_at,
        snapshot.file_id
    from {{ ref('wip_snapshot') }} as snapshot
    where snapshot.extract_position = (select max(latest.extract_position) from {{ ref('wip_snapshot') }} as latest)

),

final as (

    select
        states.application_key,
        states.application_type,
        states.channel,
        states.service,
        states.region,
        states.country,
        states.received_at,
        {{ seconds_between('states.received_at', 'extracts.extracted_at') }} as age_seconds,
        states.stage,
        states.stage_entered_at,
        {{ seconds_between('states.stage_entered_at', 'extracts.extracted_at') }} as stage_age_seconds,
        states.expected_by,
        coalesce(states.expected_by < extracts.extracted_at, false) as is_overdue,
        states.delivery_partner_key,
        states.is_csmt_owned,
        states.last_updated_at,
        extracts.extracted_at,
        extracts.file_id
    from extracts
    inner join {{ ref('stg_passport_applications__application_states') }} as states
        on
            states._file_position <= {{ end_of_file('extracts.extract_position') }}
            and (states._until_position is null or states._until_position > {{ end_of_file('extracts.extract_position') }})

)

select * from final
