{{ config(materialized='view') }}

{{ wip_by_age('email', 'email_message', 'email_volumes', 'emails') }}
