{{ config(materialized='view') }}

{{ wip_by_age('email', 'email_volumes', 'emails') }}
