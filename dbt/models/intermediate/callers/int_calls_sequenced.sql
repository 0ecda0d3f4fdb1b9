{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[
        {'columns': ['call_id'], 'unique': true},
        {'columns': ['caller_key', 'received_at']},
        {'columns': ['received_at']},
        {'columns': ['interval_start']},
        {'columns': ['ended_at']},
    ],
    pre_hook="{{ replace_resequenced(ref('int_caller_calls_changed'), ref('int_calls_resequenced')) }}",
) }}

with final as (

    {% if is_incremental() -%}
    select * from {{ ref('int_calls_resequenced') }}
    except
    {{ calls_that_stand(this, ref('int_caller_calls_changed')) }}
    {%- else -%}
    {{ calls_in_sequence() }}
    {%- endif %}

)

select * from final
-- So that the calls of a day lie together: they are read by day.
order by received_at
