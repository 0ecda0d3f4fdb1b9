{{ config(materialized='view') }}

with calls as (

    select * from {{ ref('annex_b_calls') }}
    where grain not in ('15min', '30min')

),

final as (

    {% for threshold in [30, 70] -%}
    select
        grain,
        period_start,
        line_of_business,
        is_complete,
        {{ threshold }} as threshold_seconds,
        calls_answered as answered,
        answered_within_{{ threshold }}s as answered_within,
        abandoned_in_queue as abandoned,
        abandoned_within_{{ threshold }}s as abandoned_within,
        abandoned_in_queue_short as abandoned_short,
        _build_id
    from calls
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select * from final
