{{ config(materialized='view') }}

{{ wip_by_age('callback', 'callback_event', 'annex_b_callbacks', 'callbacks') }}
