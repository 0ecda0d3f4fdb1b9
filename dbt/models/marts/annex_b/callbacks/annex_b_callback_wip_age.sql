{{ config(materialized='view') }}

{{ wip_by_age('callback', 'annex_b_callbacks', 'callbacks') }}
