{{ config(materialized='view') }}

{{ completed_within(ref('annex_b_callbacks'), ref('annex_b_callback_completed_age'), 'callbacks', 24) }}
