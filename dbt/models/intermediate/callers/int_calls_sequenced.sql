{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[
        {'columns': ['call_id'], 'unique': true},
        {'columns': ['caller_key', 'ended_at']},
        {'columns': ['received_at']},
        {'columns': ['interval_start']},
        {'columns': ['ended_at']},
    ],
    pre_hook="{{ replace_resequenced(ref('int_calls_changed'), ref('int_calls_resequenced')) }}",
) }}

with final as (

    {% if is_incremental() -%}
    select * from {{ ref('int_calls_resequenced') }}
    except
    {{ calls_that_stand(this, ref('int_calls_changed'), ref('int_calls_resequenced')) }}
    {%- else -%}
    select
        call_id,
        caller_key,
        line_of_business,
        received_at,
        received_date,
        interval_start,
        is_answered,
        ended_at,
        {{ calls_before_and_after() | indent(8) }},
        record_version,
        _file_id,
        _line_number
    from {{ ref('fct_calls') }}
    where
        caller_key is not null
        and not is_test
    {{ callers_windows() | indent(4) }}
    {%- endif %}

)

select * from final
-- So that the calls of a day lie together: they are read by day.
order by received_at
