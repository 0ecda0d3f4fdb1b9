{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['event_id'], 'unique': true}, {'columns': ['agent_id', 'since']}, {'columns': ['since']}],
    pre_hook="{{ replace_changed('event_id', ref('int_agent_events_changed')) }}",
) }}

with states as (

    {{ current_records(
        is_full_build(), none, ref('stg_workforce__agent_states'), ref('stg_workforce__agent_state_versions'), 'event_id', 'event',
        'select event_id as source_id from ' ~ ref('int_agent_events_changed')
    ) }}

),

lines as (

    select line_of_business from {{ ref('lines_of_business') }}
    where not is_total

),

lists as (

    select distinct line_of_business as sent from states

),

lines_once as (

    -- A line that is not known is UNMAPPED, and so is an agent of none.
    select distinct
        lists.sent,
        coalesce(lines.line_of_business, 'UNMAPPED') as line_of_business
    from lists
    left join lateral {{ json_texts('lists.sent', 'codes') }} on true
    left join lines on codes.value = lines.line_of_business

),

line_lists as (

    select
        sent,
        {{ json_list('line_of_business', 'line_of_business') }} as lines_of_business
    from lines_once
    group by sent

),

final as (

    select
        states.event_id,
        states.agent_id,
        line_lists.lines_of_business,
        states.state,
        states.since
    from states
    inner join line_lists on states.line_of_business = line_lists.sent

)

select * from final
