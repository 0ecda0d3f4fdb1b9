{{ config(materialized='view') }}

{{ completed_within(ref('email_volumes'), ref('email_completed_age'), 'emails', 48) }}
