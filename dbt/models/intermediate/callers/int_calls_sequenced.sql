{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['caller_key', 'received_at', 'call_id'],
    indexes=[{'columns': ['received_at']}, {'columns': ['ended_at']}],
    pre_hook="{{ delete_calls_that_moved(ref('int_caller_calls_changed'), ref('int_calls_resequenced')) }}",
    post_hook="{{ index_on('(caller_key, received_at, call_id) include (line_of_business, received_date, interval_start, is_answered, ended_at)', unique=true) }}",
) }}

with final as (

    {% if is_incremental() -%}
    -- Only what is not so already: a call is often looked at again for another that came no nearer.
    select * from {{ ref('int_calls_resequenced') }}
    except
    select stood.*
    from {{ ref('int_calls_resequenced') }} as calls
    inner join {{ this }} as stood
        on
            calls.caller_key = stood.caller_key
            and calls.received_at = stood.received_at
            and calls.call_id = stood.call_id
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
