{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[
        {'columns': ['call_id'], 'unique': true},
        {'columns': ['received_at']},
        {'columns': ['ended_at']},
    ],
    pre_hook="{{ replace_resequenced(ref('int_caller_calls_changed'), ref('int_calls_resequenced')) }}",
    post_hook="{{ index_on('(caller_key, received_at, call_id) include (line_of_business, received_date, interval_start, is_answered, ended_at)') }}",
) }}

with final as (

    {% if is_incremental() -%}
    select * from {{ ref('int_calls_resequenced') }}
    except
    {{ calls_that_stand(this, ref('int_caller_calls_changed'), ref('int_calls_resequenced')) }}
    {%- else -%}
    select
        caller_key,
        received_at,
        call_id,
        {%- for column in sequenced_call_columns() %}
        {{ column }},
        {%- endfor %}
        {{ calls_before_and_after() | indent(8) }}
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
